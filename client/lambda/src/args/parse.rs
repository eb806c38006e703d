//! What the words of the command look like.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::faults::FaultRate;

/// `NAME=BINARY [ARGUMENT…]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FunctionWords {
    pub(super) name: String,
    pub(super) binary: PathBuf,
    pub(super) arguments: Vec<String>,
}

impl FromStr for FunctionWords {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is not NAME=BINARY, with arguments after blanks");
        let (name, command) = text.split_once('=').ok_or_else(expected)?;
        let mut words = command.split_whitespace().map(str::to_owned);
        let binary = words.next().ok_or_else(expected)?.into();
        Ok(Self { name: name.to_owned(), binary, arguments: words.collect() })
    }
}

/// A value for all functions, or for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scoped<T> {
    function: Option<String>,
    pub(super) value: T,
}

impl<T> Scoped<T> {
    pub(super) fn function(&self) -> Option<&str> {
        self.function.as_deref()
    }

    pub(super) fn is_for(&self, function: &str) -> bool {
        self.function().is_none_or(|name| name == function)
    }
}

impl<T: FromStr<Err: ToString>> FromStr for Scoped<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        scoped(text, '=', |value| value.parse().map_err(|error: T::Err| error.to_string()))
    }
}

fn scoped<T>(text: &str, sign: char, parse: impl Fn(&str) -> Result<T, String>) -> Result<Scoped<T>, String> {
    let (function, value) = text.split_once(sign).map_or((None, text), |(name, value)| (Some(name.to_owned()), value));
    Ok(Scoped { function, value: parse(value)? })
}

/// What is said of a function in particular, wherever it stands, or else last of all.
pub(super) fn last<'a, T>(all: &'a [Scoped<T>], function: &str) -> Option<&'a T> {
    let own = all.iter().rev().find(|scoped| scoped.function() == Some(function));
    own.or_else(|| all.iter().rev().find(|scoped| scoped.function.is_none())).map(|scoped| &scoped.value)
}

pub(super) fn scoped_duration(text: &str) -> Result<Scoped<Duration>, String> {
    scoped(text, '=', parse_duration)
}

/// `[NAME:]VARIABLE=VALUE`; the value may have any signs.
pub(super) fn parse_variable(text: &str) -> Result<Scoped<(String, String)>, String> {
    let (place, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not [NAME:]VARIABLE=VALUE"))?;
    scoped(place, ':', |variable| Ok((variable.to_owned(), value.to_owned())))
}

/// `3s`, `0.5s` or `500ms`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("{text:?} is not a time as 3s or 500ms");
    let (number, unit_s) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 0.001),
        (None, Some(number)) => (number, 1.0),
        (None, None) => return Err(expected()),
    };
    let number: f64 = number.parse().map_err(|_error| expected())?;
    Duration::try_from_secs_f64(number * unit_s).map_err(|_error| expected())
}

/// A number from 0 to 1.
pub(super) fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("{text:?} is not a share from 0 to 1"))
}

/// A share and this many times after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FaultWords<const N_TIMES: usize> {
    share: f64,
    times: [Duration; N_TIMES],
}

impl<const N_TIMES: usize> FromStr for FaultWords<N_TIMES> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',');
        let share = parse_share(words.next().unwrap_or_default())?;
        let times = words.map(parse_duration).collect::<Result<Vec<_>, _>>()?;
        let times =
            times.try_into().map_err(|_error| format!("{text:?} is not a share with {N_TIMES} times after it"))?;
        Ok(Self { share, times })
    }
}

impl<const N_TIMES: usize> FaultWords<N_TIMES> {
    /// The first time is when it happens, the last how long it lasts.
    pub(super) fn rate(self) -> FaultRate {
        let time = |place: Option<&Duration>| place.copied().unwrap_or_default();
        FaultRate { rate: self.share, after: time(self.times.first()), lasts: time(self.times.last()) }
    }
}

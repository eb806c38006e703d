//! Where cloud threads run, for reports.

use greenroom::cloud::Backend;

/// The name of the back end that cloud threads run on, or why there is none: then each says so when it is joined.
pub fn backend() -> String {
    Backend::from_env().map_or_else(|error| error.to_string(), |backend| backend.name().to_owned())
}

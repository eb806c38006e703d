//! Objects that start anew with each run.

use greenroom::{Error, ObjectHandle};

/// Makes the object anew, whatever an earlier run left in a job that outlived it (`GREENROOM_JOB`).
///
/// # Errors
/// As every call's.
pub fn fresh<H: ObjectHandle>(handle: H) -> Result<H, Error> {
    handle.raw().force_new()?;
    Ok(handle)
}

//! What became of last night's state: the column `fit`.
//!
//! In: what the worker did. Out: its name.

/// What became of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// There was none: fitted.
    Fitted,
    /// Moved on by the new values.
    Updated,
    /// Fitted anew, because its errors had gone to one side.
    Tracking,
    /// Fitted anew, because its turn had come.
    Rolling,
    /// Fitted anew, because the state is of other arguments.
    Arguments,
    /// Fitted anew, because the state could not be read.
    Unreadable,
    /// Fitted anew, because the new times do not lie on the calendar of the state.
    Calendar,
    /// Fitted anew, because the new values are too large for the state.
    Overflow,
    /// Moved on, though a new fit is due: the input holds too little of the history.
    Due,
}

impl Fit {
    /// As in the column.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fitted => "fitted",
            Self::Updated => "updated",
            Self::Tracking => "refitted: tracking signal",
            Self::Rolling => "refitted: its turn",
            Self::Arguments => "refitted: state of other arguments",
            Self::Unreadable => "refitted: unreadable state",
            Self::Calendar => "refitted: times off the calendar of the state",
            Self::Overflow => "refitted: values beyond the state",
            Self::Due => "updated: new fit due, add the history to the input",
        }
    }
}

//! The three columns that say where a job stands. Which changes of phase are legal stands here;
//! which one happens is decided in [`crate::decide`].

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of the type.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word of the API and of the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// Reads [`Self::as_str`] back.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(
    /// What happened to the run.
    Phase {
        /// Accepted; nothing exists on the cluster yet. The reason says why.
        Queued,
        /// Its objects are applied; the program does not run yet.
        Submitted,
        /// The program runs.
        Running,
        /// Held back on purpose.
        Suspended,
        /// Its cluster does not answer; `last_known` says what it did before.
        Unknown,
        /// Over, with success.
        Succeeded,
        /// Over, without success.
        Failed,
        /// Over, because the user said so.
        Cancelled,
        /// Over, because a deadline passed.
        TimedOut,
        /// Its workload vanished without our doing. Never run again by itself.
        Lost,
    }
);

words!(
    /// Whether the job exists.
    Lifecycle {
        /// It does.
        Active,
        /// It is being removed from the clusters.
        Deleting,
        /// Proven gone. The record stays.
        Deleted,
    }
);

words!(
    /// What the user wants. Moves only to the right.
    Desired {
        /// Run it.
        Run,
        /// Stop it and keep the record.
        Cancel,
        /// Stop it and remove what exists.
        Delete,
    }
);

impl Phase {
    /// Whether the run is over. A terminal phase never changes again.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::TimedOut | Self::Lost
        )
    }

    /// Whether objects of the job may exist on a cluster and are worth watching.
    pub fn is_observed(self) -> bool {
        matches!(self, Self::Submitted | Self::Running | Self::Suspended | Self::Unknown)
    }

    /// Whether a job may go from `self` to `to` in one step.
    ///
    /// The run may be seen for the first time at any point, so every observed phase may follow
    /// every other; only a job that was never applied cannot succeed.
    pub fn may_become(self, to: Self) -> bool {
        if self == to {
            return true;
        }
        match self {
            Self::Queued => {
                matches!(to, Self::Submitted | Self::Failed | Self::Cancelled | Self::TimedOut)
            }
            Self::Submitted | Self::Running | Self::Suspended | Self::Unknown => {
                to != Self::Queued && !(to == Self::Submitted && self == Self::Running)
            }
            _ => false,
        }
    }

    /// The word the predecessor's clients know: `Pending`, `Running`, `Succeeded` or `Failed`.
    ///
    /// `last_known` is the phase before [`Phase::Unknown`].
    pub fn compat_status(self, last_known: Option<Self>) -> &'static str {
        match self {
            Self::Queued | Self::Submitted | Self::Suspended => "Pending",
            Self::Running => "Running",
            Self::Unknown => match last_known {
                Some(Self::Running) => "Running",
                _ => "Pending",
            },
            Self::Succeeded => "Succeeded",
            Self::Failed | Self::Cancelled | Self::TimedOut | Self::Lost => "Failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_phases_absorb() {
        for from in Phase::ALL.iter().filter(|phase| phase.is_terminal()) {
            for to in Phase::ALL.iter().filter(|to| *to != from) {
                assert!(!from.may_become(*to), "{from} -> {to}");
            }
        }
    }

    #[test]
    fn nothing_returns_to_queued_and_queued_never_succeeds() {
        for from in Phase::ALL.iter().filter(|from| **from != Phase::Queued) {
            assert!(!from.may_become(Phase::Queued), "{from}");
        }
        assert!(!Phase::Queued.may_become(Phase::Succeeded));
        assert!(!Phase::Running.may_become(Phase::Submitted));
    }

    #[test]
    fn words_survive_a_round_trip() {
        for phase in Phase::ALL {
            assert_eq!(Phase::parse(phase.as_str()), Some(*phase));
        }
        assert_eq!(Phase::parse("running"), None);
    }
}

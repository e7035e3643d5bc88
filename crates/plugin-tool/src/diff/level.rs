//! How much a change asks of those who use a plugin, and what a version promises.

use semver::Version;

/// The size of a change, smallest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Nothing changed.
    None,
    /// Nobody has to notice.
    Patch,
    /// Something new; what worked still works.
    Minor,
    /// Something that worked may stop working, or mean something else.
    Major,
}

impl Level {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        }
    }

    /// What the step from one version to the next promises; `None` also for a step back. Before
    /// 1.0.0 the second number stands for the first, and the third for both others, as Cargo and
    /// npm read it.
    pub(crate) fn declared(old: &Version, new: &Version) -> Self {
        if new <= old {
            return Self::None;
        }
        let unstable = old.major == 0 && new.major == 0;
        if new.major != old.major {
            Self::Major
        } else if new.minor != old.minor {
            if unstable { Self::Major } else { Self::Minor }
        } else if unstable {
            Self::Minor
        } else {
            Self::Patch
        }
    }

    /// The lowest version that promises this change.
    pub(crate) fn next(self, old: &Version) -> Version {
        let (major, minor, patch) = (old.major, old.minor, old.patch);
        match (self, major) {
            (Self::None, _) => Version::new(major, minor, patch),
            (Self::Major, 0) => Version::new(0, minor + 1, 0),
            (Self::Major, _) => Version::new(major + 1, 0, 0),
            (Self::Minor, 1..) => Version::new(major, minor + 1, 0),
            (Self::Minor | Self::Patch, _) => Version::new(major, minor, patch + 1),
        }
    }
}

/// One change and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) level: Level,
    /// Into the description: `/hyperparameters-schema/properties/eta/maximum`.
    pub(crate) pointer: String,
    /// A sentence.
    pub(crate) reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_promise_what_semver_says() {
        for (old, new, expected) in [
            ("1.2.3", "1.2.3", Level::None),
            ("1.2.3", "1.2.2", Level::None),
            ("1.2.3", "1.2.4", Level::Patch),
            ("1.2.3", "1.3.0", Level::Minor),
            ("1.2.3", "2.0.0", Level::Major),
            ("0.2.3", "0.2.4", Level::Minor),
            ("0.2.3", "0.3.0", Level::Major),
            ("0.2.3", "1.0.0", Level::Major),
        ] {
            let parse = |text| Version::parse(text).unwrap();
            assert_eq!(Level::declared(&parse(old), &parse(new)), expected, "{old} {new}");
        }
    }

    #[test]
    fn next_version_promises_exactly_the_change() {
        for old in ["0.3.1", "1.4.2"] {
            let old = Version::parse(old).unwrap();
            for level in [Level::Patch, Level::Minor, Level::Major] {
                assert!(Level::declared(&old, &level.next(&old)) >= level, "{old} {level:?}");
            }
        }
    }
}

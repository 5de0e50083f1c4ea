//! Which kernels a gap is one of.

/// A range of versions, as a list of gaps writes it: `since 6.1 before 6.2`, or one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kernels {
    since: Option<Version>,
    before: Option<Version>,
}

/// Its numbers: a shorter version is that of all releases that begin with it.
type Version = Vec<u32>;

impl Kernels {
    /// Understands a range; no words are one of all kernels.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut kernels = Self::default();
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            let bound = match word {
                "since" => &mut kernels.since,
                "before" => &mut kernels.before,
                _ => return Err(format!("'{word}' is neither 'since' nor 'before'")),
            };
            let given = words.next().unwrap_or_default();
            let version = version(given).filter(|_| bound.is_none()).ok_or_else(|| {
                format!("'{word}' wants one version of a kernel, such as 6.12, not '{given}'")
            })?;
            *bound = Some(version);
        }
        if let Self { since: Some(since), before: Some(before) } = &kernels
            && since >= before
        {
            return Err(format!("there is no kernel '{}'", text.trim()));
        }
        Ok(kernels)
    }

    /// Whether it has the kernel of this release (`uname -r`). Of an unknown one, only what is said of
    /// all kernels holds.
    pub fn have(&self, release: Option<&str>) -> bool {
        if *self == Self::default() {
            return true;
        }
        let Some(release) = release.and_then(of_release) else { return false };
        let Self { since, before } = self;
        since.as_ref().is_none_or(|since| *since <= release)
            && before.as_ref().is_none_or(|before| release < *before)
    }
}

/// A version that is numbers, and nothing else.
fn version(text: &str) -> Option<Version> {
    text.split('.').map(|number| number.parse().ok()).collect()
}

/// The version that a release begins with: that of `7.3.4+deb13-cloud-amd64` is 7.3.4.
fn of_release(release: &str) -> Option<Version> {
    let end = release.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(release.len());
    version(release[..end].trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_what_lies_in_it() {
        for (range, release, has) in [
            ("", "7.3.4+deb13-cloud-amd64", true),
            ("since 7.3", "7.3.4+deb13-cloud-amd64", true),
            ("since 7.3", "7.3.0-rc1", true),
            ("since 7.3", "6.12.117+deb12-cloud-amd64", false),
            ("since 6.2", "6.12.0", true),
            ("before 6.2", "6.1.0-56-cloud-amd64", true),
            ("before 6.2", "6.2.0", false),
            ("before 6.12", "6.2", true),
            ("since 6.1 before 6.1.10", "6.1.9", true),
            ("since 6.1 before 6.1.10", "6.1.10", false),
            ("before 6.2 since 6.1", "6.0.19", false),
            ("since 6.1", "a kernel of one's own", false),
        ] {
            assert_eq!(
                Kernels::parse(range).unwrap().have(Some(release)),
                has,
                "{range} {release}"
            );
        }
        assert!(Kernels::parse("").unwrap().have(None));
        assert!(!Kernels::parse("since 2.6").unwrap().have(None));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for (range, why) in [
            ("from 6.1", "'from' is neither"),
            ("since", "'since' wants one version"),
            ("before six", "such as 6.12, not 'six'"),
            ("since 6.1 since 6.2", "'since' wants one version"),
            ("since 6.12 before 6.2", "there is no kernel 'since 6.12 before 6.2'"),
        ] {
            let told = Kernels::parse(range).unwrap_err();
            assert!(told.contains(why), "{range}: {told}");
        }
    }
}

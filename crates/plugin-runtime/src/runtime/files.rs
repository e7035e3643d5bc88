//! What each file of the directory held when it was last good: as the last look found it, and as
//! the archive has it on record. Pure; the reading and writing is in `archive.rs`.

use std::collections::{BTreeMap, HashSet};

use training::PluginDigest;
use training::ports::FileNotes;

/// Names of files and the components they hold.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// As it is on record, without what is gone; `None` until the record was read.
    noted: Option<BTreeMap<String, PluginDigest>>,
    /// On record, and gone. A file of the same name that comes later is another one.
    gone: BTreeMap<String, PluginDigest>,
    /// As the last look found it: nothing for a file that is there but not known to be good.
    present: Option<BTreeMap<String, Option<PluginDigest>>>,
}

impl Files {
    /// Whether the record was read.
    pub(super) fn is_read(&self) -> bool {
        self.noted.is_some()
    }

    /// Takes the record over.
    pub(super) fn read(&mut self, noted: BTreeMap<String, PluginDigest>) {
        self.noted = Some(noted);
        self.forget_what_is_gone();
    }

    /// Takes over what a look found.
    pub(super) fn saw(&mut self, present: BTreeMap<String, Option<PluginDigest>>) {
        self.present = Some(present);
        self.forget_what_is_gone();
    }

    fn forget_what_is_gone(&mut self) {
        let (Some(noted), Some(present)) = (&mut self.noted, &self.present) else { return };
        self.gone.extend(noted.extract_if(.., |file, _| !present.contains_key(file)));
    }

    /// What a file held when it was last good, if that is on record.
    pub(super) fn remembered(&self, file: &str) -> Option<PluginDigest> {
        self.noted.as_ref()?.get(file).copied()
    }

    /// Whether some file is there that is not good and once was.
    pub(super) fn may_miss(&self) -> bool {
        let mut files = self.present.iter().flatten();
        files.any(|(file, held)| held.is_none() && self.remembered(file).is_some())
    }

    /// What is to be noted, as far as it is kept; `None` if nothing is new. A file that is there
    /// but bad is no news: what it held before stays on record.
    pub(super) fn news(&self, kept: &HashSet<PluginDigest>) -> Option<FileNotes> {
        let (noted, present) = (self.noted.as_ref()?, self.present.as_ref()?);
        let held = present.iter().filter_map(|(file, held)| {
            let digest = held.filter(|digest| kept.contains(digest))?;
            (noted.get(file) != Some(&digest)).then(|| (file.clone(), digest))
        });
        let gone = self.gone.iter().map(|(file, digest)| (file.clone(), *digest));
        let news = FileNotes { held: held.collect(), gone: gone.collect() };
        (news != FileNotes::default()).then_some(news)
    }

    /// These news are on record.
    pub(super) fn noted(&mut self, news: &FileNotes) {
        let noted = self.noted.get_or_insert_default();
        noted.extend(news.held.iter().cloned());
        for (file, digest) in &news.gone {
            if self.gone.get(file) == Some(digest) {
                self.gone.remove(file);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(of: &str) -> PluginDigest {
        PluginDigest::of(of)
    }

    fn note(file: &str, of: &str) -> (String, PluginDigest) {
        (file.to_owned(), digest(of))
    }

    #[test]
    fn bad_file_keeps_what_is_on_record_and_a_removed_one_loses_it() {
        let mut files = Files::default();
        let kept = HashSet::from([digest("one"), digest("two")]);
        assert_eq!(files.news(&kept), None, "nothing is known yet");
        files.read([note("bad", "one"), note("gone", "one"), note("new", "one")].into());
        assert_eq!(files.news(&kept), None, "nobody looked yet");
        assert!(!files.may_miss());
        let present = [("bad", None), ("new", Some("two")), ("unkept", Some("three"))];
        files.saw(present.map(|(file, of)| (file.to_owned(), of.map(digest))).into());
        assert!(files.may_miss());
        let news = files.news(&kept).unwrap();
        assert_eq!(news.held, [note("new", "two")]);
        assert_eq!(news.gone, [note("gone", "one")]);
        files.noted(&news);
        assert_eq!(files.news(&kept), None);
        assert_eq!(files.remembered("bad"), Some(digest("one")));
        assert_eq!(files.remembered("gone"), None);
        assert_eq!(files.remembered("new"), Some(digest("two")));
    }

    #[test]
    fn bad_file_of_a_removed_ones_name_is_not_taken_for_it() {
        let mut files = Files::default();
        files.read([note("a", "one")].into());
        files.saw(BTreeMap::new());
        // Before anything was written.
        files.saw([("a".to_owned(), None)].into());
        assert_eq!(files.remembered("a"), None);
        assert!(!files.may_miss());
        let news = files.news(&HashSet::new()).unwrap();
        assert_eq!(news.gone, [note("a", "one")]);
        files.noted(&news);
        assert_eq!(files.news(&HashSet::new()), None);
    }
}

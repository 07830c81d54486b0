//! What a replica forgets when the log may.

use crate::peers::{following, of_node_2, scn};
use crate::rig::LOG;
use cortado_driver::{Action, Event, News};
use cortado_model::{LogOffset, StoreError};
use cortado_replica::{Body, Config, Trim};

/// A follower folds that the log may forget; what its store finds of bookmarks, and from which SCN
/// on they are kept with the next batch.
#[track_caller]
fn check(found: Result<Option<u64>, StoreError>, want: Option<u64>) {
    let mut rig = following();
    let trim = Trim { below: LogOffset(2), log: LOG, snapshot: scn(1, 1) };
    of_node_2(&mut rig, scn(1, 2), Body::Config(Config::Trim(trim)));
    let Action::FindBookmark { job, trim: asked } = rig.take() else { panic!("it is looked up") };
    assert_eq!(asked, trim);
    let is_told = found.is_err();
    rig.on(Event::BookmarkFound(job, found.map(|found| found.map(|found| scn(1, found)))));
    rig.settle();
    rig.inline = false;
    of_node_2(&mut rig, scn(1, 3), Body::Config(Config::Digest));
    let (_, batch) = rig.take_apply().expect("a state to hash is stored");
    assert_eq!(batch.trim_bookmarks_below, want.map(|found| scn(1, found)));
    let not_trimmed = |news: &News| matches!(news, News::BookmarksNotTrimmed { .. });
    assert_eq!(rig.news.iter().any(not_trimmed), is_told);
}

#[test]
fn bookmarks_go_that_lead_into_what_the_log_may_forget() {
    check(Ok(Some(1)), Some(1));
    check(Ok(None), None);
    check(Err(StoreError::Failed { why: "told to".to_owned() }), None);
}

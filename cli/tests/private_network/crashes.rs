//! Mail servers that are killed and started again.

use std::fs;

use libtest_mimic::Failed;

use super::{
    conform::grades,
    desk::{DeskTest, TestDesk, tests},
};

pub(crate) const TESTS: &[DeskTest] = tests! {
    mail_that_a_crash_loses_is_found_out: &["dig", "/usr/bin/python3"],
};

/// A server that keeps its queue passes; one whose queue is gone with its processes has lost mail.
fn mail_that_a_crash_loses_is_found_out(desk: &TestDesk) -> Result<(), Failed> {
    let adapter = fs::read_to_string(desk.path("scripted.toml"))?;
    let forgets = "restart = \"rm -f /var/spool/scripted/*\"\nsubmit = ";
    let adapter = adapter.replacen("submit = ", forgets, 1);
    fs::write(desk.path("forgetful.toml"), adapter)?;
    for (server, expected) in [
        ("./scripted.toml", "pass"),
        ("./forgetful.toml", "violates"),
    ] {
        for drill in ["mail_waits_in_the_queue", "after_the_recipient_is_named"] {
            let graded = grades(desk, server, &format!("crashes/{drill}"))?;
            match &graded[..] {
                [(_, grade)] if grade == expected => {}
                _ => return Err(format!("{server}: {graded:?}").into()),
            }
        }
    }
    Ok(())
}

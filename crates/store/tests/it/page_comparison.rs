//! Pages that are compared with the table before anything is written.

use serde_json::json;
use store::records::{self, Rows};
use testkit_macros::on_both_databases;

use crate::fixture::{Fixture, record};

#[on_both_databases]
async fn only_records_that_differ_must_be_written_in_every_page_that_has_them(fixture: Fixture) {
    let stream = fixture.stream().await;
    let one = |sid: &str, status: &str| record(&json!({ "sid": sid, "status": status }));
    let stored = ["a", "b", "c", "d", "gone"].map(|sid| one(sid, "sent"));
    stream.write(stored.into()).await.unwrap();
    stream.delete(&["gone"]).await.unwrap();

    let pages = [
        // The last record of a key counts: `b` is unchanged, and `c` is not.
        vec![
            one("a", "sent"),
            one("b", "other"),
            one("b", "sent"),
            one("c", "sent"),
            one("c", "read"),
        ],
        // The next page has the same `a`, and another `d` than the page before.
        vec![
            one("a", "sent"),
            one("d", "sent"),
            one("gone", "sent"),
            one("new", "sent"),
        ],
        vec![one("d", "read")],
        vec![],
    ];
    let differing = stream
        .read(move |c, stream| {
            let rows = Rows {
                table: &stream.table,
                connection: stream.connection,
                now: stream.clock.now(),
            };
            let pages: Vec<_> = pages.iter().map(Vec::as_slice).collect();
            records::differing(c, &rows, &pages)
        })
        .await;
    let expected = [
        vec![false, false, false, false, true],
        vec![false, true, true, true],
        vec![true],
        vec![],
    ];
    assert_eq!(differing, expected);
}

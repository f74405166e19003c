//! The README's command.

use crate::process::Place;

#[test]
fn the_demo_succeeds_once_every_message_is_synced() {
    let place = Place::new();
    let shown = place.succeed(&["demo", "--once", "--messages", "2000"]);
    assert!(
        shown.contains("twilio_messages has 2,000 rows; the simulator has 2,000 messages"),
        "{shown}"
    );
    assert!(shown.contains("date_sent"), "{shown}");
    assert_eq!(
        std::fs::read_dir(place.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
}

//! A small pool of message texts, each escaped for JSON once. A number in the middle makes each message unique.

use crate::random::Rng;

const POOL: u64 = 512;

const OPENINGS: [&str; 16] = [
    "Your order ",
    "Ihre Bestellung ",
    "Votre commande ",
    "Code: ",
    "Hi! Ticket ",
    "📦 Parcel ",
    "Grüße aus Köln! Vorgang ",
    "Appointment no. ",
    "ご予約番号 ",
    "Заказ ",
    "رقم الطلب ",
    "Re: \"invoice\" ",
    "C:\\drop\\",
    "Line one\nLine two: ",
    "Your table\tno. ",
    "👩‍👩‍👧‍👦 Family plan ",
];

const SENTENCES: [&str; 20] = [
    " is on its way and will be with you tomorrow between 9:00 and 12:00.",
    " wurde versandt – die Lieferung erfolgt übermorgen, bitte öffnen Sie früh.",
    " est prête ; à bientôt à l'été prochain !",
    " expires in 10 minutes. Do not share it with anyone.",
    " has been answered by \"Zoë\" from support. 😊",
    "\nReply STOP to unsubscribe, HELP for help.",
    " See https://example.com/t/?a=1&b=2#top for the details.",
    " 🎉🎉 Thank you for being with us!",
    " It's 100 % free of charge {really} <b>now</b>.",
    " Çok teşekkürler, görüşmek üzere.",
    "\r\nBest wishes,\r\nthe team",
    " 明日お届けします。",
    " Будет доставлен завтра.",
    " Please bring your ID and the confirmation that we sent to you by e-mail last week.",
    " ok",
    " Price: 12,50 € / £10.99 / $13.49.",
    " Path \\\\server\\share is ready.",
    " Your balance is low; top up to keep your number and all of the services that hang on it.",
    "\u{2028}New paragraph after a line separator.",
    " 🏳️‍🌈 ñ å ß ø ł ő",
];

/// A text in two parts, with a number between them.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    head: String,
    tail: String,
    escaped_head: Vec<u8>,
    escaped_tail: Vec<u8>,
    segments: u32,
}

impl Text {
    fn new(head: String, tail: String) -> Self {
        let segments = segments(head.chars().chain(tail.chars()), 7);
        Self {
            escaped_head: escaped(&head),
            escaped_tail: escaped(&tail),
            head,
            tail,
            segments,
        }
    }

    pub(crate) fn segments(&self) -> u32 {
        self.segments
    }

    /// Returns the whole text with its number.
    pub(crate) fn with(&self, number: u64) -> String {
        format!("{}{number}{}", self.head, self.tail)
    }

    /// Returns the parts before and after the number, escaped for a JSON string.
    pub(crate) fn escaped(&self) -> (&[u8], &[u8]) {
        (&self.escaped_head, &self.escaped_tail)
    }
}

/// Returns the number of segments of a text: 153 characters each in the GSM alphabet (here Latin-1), else 67.
pub(crate) fn segments(text: impl Iterator<Item = char>, extra: usize) -> u32 {
    let (mut units, mut plain) = (extra, true);
    for letter in text {
        units += letter.len_utf16();
        plain &= u32::from(letter) < 256;
    }
    let (single, joined) = if plain { (160, 153) } else { (70, 67) };
    if units <= single {
        1
    } else {
        u32::try_from(units.div_ceil(joined)).unwrap_or(1)
    }
}

fn escaped(text: &str) -> Vec<u8> {
    let quoted = serde_json::to_vec(text).unwrap_or_default();
    quoted
        .get(1..quoted.len().saturating_sub(1))
        .unwrap_or_default()
        .to_vec()
}

/// The texts of one seed.
#[derive(Debug)]
pub(crate) struct Bodies {
    texts: Vec<Text>,
    fallback: Text,
}

impl Bodies {
    pub(crate) fn new(seed: u64) -> Self {
        let texts = (0..POOL)
            .map(|index| compose(&mut Rng::new(seed, index, 0xB0D1)))
            .collect();
        Self {
            texts,
            fallback: Text::new(String::new(), String::new()),
        }
    }

    pub(crate) fn text(&self, choice: u64) -> &Text {
        usize::try_from(choice % POOL)
            .ok()
            .and_then(|index| self.texts.get(index))
            .unwrap_or(&self.fallback)
    }
}

fn compose(rng: &mut Rng) -> Text {
    let head = rng.pick(&OPENINGS).copied().unwrap_or_default().to_owned();
    // Usually one or two; sometimes a long text of several segments.
    let sentences = if rng.per_mille(40) {
        6
    } else {
        1 + rng.below(3) / 2
    };
    let tail = (0..sentences)
        .filter_map(|_| rng.pick(&SENTENCES).copied())
        .collect();
    Text::new(head, tail)
}

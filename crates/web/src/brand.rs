//! How the connect page shows the app that links to it: name, logo and colour.

use std::path::Path;
use std::str::FromStr;

use actix_web::web::Bytes;

/// The largest logo, in bytes.
const MAX_LOGO: usize = 256 << 10;

/// The types of images that a logo may have, by the end of the file's name.
const IMAGES: [(&str, &str); 5] = [
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
];

/// Why a part of the brand cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BrandError {
    /// The text is no colour.
    #[error("must be # and six hexadecimal digits, such as #0b5cad")]
    Color,
    /// The file is not an image of a known type.
    #[error("must be a file that ends in .svg, .png, .jpg, .jpeg or .webp")]
    Type,
    /// The file is too large.
    #[error("must be a file of at most {} KB", MAX_LOGO >> 10)]
    Size,
    /// The file cannot be read.
    #[error("cannot be read")]
    Read(#[from] std::io::Error),
}

/// The app's name, logo and colour.
#[derive(Debug, Default)]
pub struct Brand {
    pub(crate) name: Option<String>,
    color: Option<Color>,
    logo: Option<Logo>,
}

#[derive(Debug)]
pub(crate) struct Logo {
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Bytes,
}

impl Brand {
    /// A brand without a logo: the app's name, and the colour of buttons.
    pub fn new(name: Option<String>, color: Option<Color>) -> Self {
        Self {
            name,
            color,
            logo: None,
        }
    }

    /// Reads the logo from a file.
    pub fn read_logo(&mut self, path: &Path) -> Result<(), BrandError> {
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .map(str::to_ascii_lowercase)
            .unwrap_or_default();
        let (_, content_type) = IMAGES
            .iter()
            .find(|(known, _)| *known == extension)
            .ok_or(BrandError::Type)?;
        let bytes = std::fs::read(path)?;
        if bytes.len() > MAX_LOGO {
            return Err(BrandError::Size);
        }
        self.logo = Some(Logo {
            content_type,
            bytes: bytes.into(),
        });
        Ok(())
    }

    pub(crate) fn logo(&self) -> Option<&Logo> {
        self.logo.as_ref()
    }

    /// Returns the style sheet that sets the colours of buttons; empty without a colour.
    pub(crate) fn style(&self) -> String {
        self.color.map_or_else(String::new, |color| {
            let (button, text) = (color.css(), color.text_color());
            format!(":root {{ --button: {button}; --on-button: {text}; }}\n")
        })
    }
}

/// A colour: red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color([u8; 3]);

impl FromStr for Color {
    type Err = BrandError;

    /// Reads `#rrggbb`.
    fn from_str(text: &str) -> Result<Self, BrandError> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let [_, red, green, blue] = number.ok_or(BrandError::Color)?.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

impl Color {
    fn css(self) -> String {
        let [red, green, blue] = self.0;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// Returns the relative luminance, by the definition of WCAG 2.2.
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|value| {
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// Returns black or white, whichever has the higher contrast on this colour: at least 4.5 in any case.
    fn text_color(self) -> &'static str {
        let luminance = self.luminance();
        let (white, black) = (1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05);
        if white >= black { "#ffffff" } else { "#000000" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_has_six_hexadecimal_digits() {
        assert_eq!("#0B5cad".parse::<Color>().unwrap().css(), "#0b5cad");
        for text in ["0b5cad", "#0b5ca", "#0b5cad0", "#gggggg", "#+12345", "red", ""] {
            assert!(text.parse::<Color>().is_err(), "{text}");
        }
    }

    #[test]
    fn text_on_a_colour_is_readable() {
        for text in ["#000000", "#ffffff", "#777777", "#00b2e3", "#ff0000", "#ffff00"] {
            let color: Color = text.parse().unwrap();
            let (on_it, luminance) = (color.text_color(), color.luminance());
            let contrast = if on_it == "#ffffff" {
                1.05 / (luminance + 0.05)
            } else {
                (luminance + 0.05) / 0.05
            };
            assert!(contrast >= 4.5, "{text} {on_it} {contrast}");
        }
    }

    #[test]
    fn a_logo_is_a_small_image() {
        let folder = tempfile::tempdir().unwrap();
        let mut brand = Brand::default();
        let write = |name: &str, size: usize| {
            let path = folder.path().join(name);
            std::fs::write(&path, vec![0; size]).unwrap();
            path
        };
        assert!(matches!(
            brand.read_logo(&write("logo.gif", 1)),
            Err(BrandError::Type)
        ));
        assert!(matches!(
            brand.read_logo(&write("large.png", MAX_LOGO + 1)),
            Err(BrandError::Size)
        ));
        let missing = folder.path().join("missing.png");
        assert!(matches!(brand.read_logo(&missing), Err(BrandError::Read(_))));
        brand.read_logo(&write("logo.PNG", 9)).unwrap();
        assert_eq!(brand.logo().unwrap().content_type, "image/png");
    }
}

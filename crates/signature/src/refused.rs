//! Why a request is not taken for one of the provider.

/// Why a request is not taken for one of the provider: for counters and logs, not for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Refused {
    /// The provider sends no requests with this method.
    #[error("the provider sends no requests with this method")]
    Method,
    /// A part of the request is larger than what is looked at.
    #[error("the {0} is too large, or has too many parts")]
    TooLarge(&'static str),
    /// Nothing is signed, and the address is not the connection's own.
    #[error("the provider does not sign, so only a connection's own address accepts its requests")]
    NeedsOwnAddress,
    /// There is no secret.
    #[error("the connection has no secret with which to verify the signature")]
    NoSecret,
    /// The secret is not of the form that the provider file says.
    #[error("the secret of the connection does not have the format of the provider's secrets")]
    BadSecret,
    /// The request has no signature, or several headers of the name.
    #[error("the request has no signature")]
    NoSignature,
    /// A part of the request cannot be read, or what is signed is missing.
    #[error("the {0} cannot be read, or is missing")]
    Malformed(&'static str),
    /// The request names a way to sign that the provider file does not have.
    #[error("the request names an algorithm that is not known")]
    UnknownScheme,
    /// The request is signed in a weaker way than the connection is configured for.
    #[error("the connection is configured for a stronger signature than the request has")]
    Downgrade,
    /// The signature does not cover the body.
    #[error("the signature does not cover the body, or the body's hash differs")]
    BodyNotSigned,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    WrongSignature,
    /// The request is genuine but too old, or from the future.
    #[error("the time of the request is too far from now")]
    Expired,
}

impl Refused {
    /// Returns the reason as a word for a counter: `wrong_signature`.
    pub fn code(self) -> &'static str {
        self.into()
    }

    /// How much is known of the request: of several reasons, the one with the greatest number is reported.
    pub(crate) const fn weight(self) -> u8 {
        match self {
            Self::NoSignature => 0,
            Self::NoSecret => 1,
            Self::Malformed(_) | Self::TooLarge(_) => 2,
            Self::BadSecret => 3,
            Self::WrongSignature | Self::BodyNotSigned => 4,
            Self::Expired => 5,
            Self::Method | Self::NeedsOwnAddress | Self::UnknownScheme | Self::Downgrade => 6,
        }
    }
}

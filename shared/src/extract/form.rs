//! Form bodies, as OAuth 2.0 has them.

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use super::{body_bytes, field_error, states};
use crate::error::{Code, Error, Result};

const TYPE: &str = "application/x-www-form-urlencoded";

/// A form body (RFC 6749, 3.2): unknown parameters are ignored, one without a
/// value is as one that was not sent, and one that is sent twice is 422. 415
/// for another content type.
#[derive(Debug, Clone, Copy)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        if !states(request.headers(), TYPE) {
            return Err(Error::new(Code::UnsupportedContentType).detail(format!("Send {TYPE}.")));
        }
        parse(&body_bytes(request, state).await?).map(Self)
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let given = form_urlencoded::parse(body).filter(|(_, value)| !value.is_empty());
    let given = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
    let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(given.as_bytes()));
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let path = error.path().to_string();
        field_error(&path, &error.into_inner().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Asked {
        token: String,
        hint: Option<String>,
    }

    #[test]
    fn a_form_is_read_as_oauth_has_it() {
        let read = |body: &str| parse::<Asked>(body.as_bytes());
        let asked = read("token=a%20b%2Bc&other=1&other=2&hint=").expect("a form");
        assert_eq!((&*asked.token, asked.hint), ("a b+c", None));
        assert_eq!(read("hint=x&token=y").expect("a form").hint.as_deref(), Some("x"));
        for bad in ["", "token=", "token", "hint=x", "token=a&token=b", "token=a&token=a", "%", "&&", "\0"] {
            assert_eq!(read(bad).expect_err(bad).code(), Code::ValidationFailed, "{bad:?}");
        }
    }
}

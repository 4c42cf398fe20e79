//! Who asks: passwords, sessions, API tokens, and the guard in front of every route.

pub mod codes;
pub mod guard;
pub mod lockout;
pub mod owner;
pub mod passkey;
pub mod password;
pub mod seal;
pub mod secrets;

pub use guard::{Caller, Principal, SharedCaller};

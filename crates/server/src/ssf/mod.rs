//! Shared signals (OpenID SSF 1.0, CAEP 1.0): what other systems tell of devices, credentials and
//! sessions, and what we tell them.

pub mod set;

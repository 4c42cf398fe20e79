//! Request bodies in, named values out: urlencoded, multipart, JSON and XML.

mod xpath;

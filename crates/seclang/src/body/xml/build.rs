//! Events of the XML reader in, a document out; what the reader lets pass is checked here.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use crate::verdict::Limit;

use super::{
    Attribute, Element, Piece, Run, XML_ATTRIBUTES_MAX, XML_DEPTH_MAX, XML_ELEMENTS_MAX, Xml,
    position,
};

/// Adds what `text` holds to `document`; after an error, what came before it.
pub(super) fn build(text: &str, document: &mut Xml) -> Result<(), String> {
    let mut builder =
        Builder { document, open: Vec::new(), in_run: false, seen_doctype: false, unseen: None };
    let result = builder.read(text);
    while !builder.open.is_empty() {
        builder.close();
    }
    result?;
    match builder.unseen {
        Some(error) => Err(error.to_owned()),
        None => Ok(()),
    }
}

struct Builder<'a> {
    document: &'a mut Xml,
    open: Vec<usize>,
    /// No tag since the last text.
    in_run: bool,
    seen_doctype: bool,
    /// The application may see text here that we do not. Reading goes on: the rest is evidence.
    unseen: Option<&'static str>,
}

impl Builder<'_> {
    fn read(&mut self, text: &str) -> Result<(), String> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_comments = true;
        let mut first = true;
        loop {
            let at = reader.buffer_position();
            let event = reader
                .read_event()
                .map_err(|error| format!("{error} at byte {}", reader.error_position()))?;
            if event == Event::Eof {
                break;
            }
            self.event(&event, first).map_err(|error| format!("{error} at byte {at}"))?;
            first = false;
        }
        match (self.open.is_empty(), self.document.elements.is_empty()) {
            (false, _) => Err("the document ends inside an element".to_owned()),
            (true, true) => Err("the document has no element".to_owned()),
            (true, false) => Ok(()),
        }
    }

    fn event(&mut self, event: &Event<'_>, first: bool) -> Result<(), String> {
        match event {
            Event::Start(start) => self.start(start)?,
            Event::Empty(start) => {
                self.start(start)?;
                self.close();
            }
            Event::End(_) => self.close(),
            Event::Text(text) => {
                if text.contains("]]>") {
                    return Err("`]]>` in text".to_owned());
                }
                self.text(&text.xml10_content())?;
            }
            Event::CData(text) if self.open.is_empty() => {
                return Err(format!("text outside of the root element: {} bytes", text.len()));
            }
            Event::CData(text) => self.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => self.reference(reference)?,
            Event::DocType(doctype) => self.doctype(doctype)?,
            Event::Decl(_) if !first => {
                return Err("XML declaration inside the document".to_owned());
            }
            Event::PI(instruction) => {
                let target = instruction.target();
                if !is_name(target) || target.eq_ignore_ascii_case("xml") {
                    return Err("processing instruction without a name".to_owned());
                }
                check_characters(instruction)?;
            }
            Event::Comment(comment) => check_characters(comment)?,
            Event::Decl(_) | Event::Eof => {}
        }
        Ok(())
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), String> {
        let document = &mut *self.document;
        if self.open.is_empty() && !document.elements.is_empty() {
            return Err("a second root element".to_owned());
        }
        if self.open.len() == XML_DEPTH_MAX {
            document.limit = Some(Limit::Depth);
            return Err(format!("elements are nested more than {XML_DEPTH_MAX} deep"));
        }
        if document.elements.len() == XML_ELEMENTS_MAX {
            document.limit = Some(Limit::Elements);
            return Err(format!("more than {XML_ELEMENTS_MAX} elements"));
        }
        let name = start.name();
        if !is_name(name.as_ref()) {
            return Err("an element without a valid name".to_owned());
        }
        let name = keep(&mut document.names, start.local_name().as_ref());
        let first = document.attributes.len();
        let text = position(document.text.len());
        self.open.push(document.elements.len());
        document.elements.push(Element {
            name,
            depth: position(self.open.len()),
            text: (text, text),
            attributes: (position(first), position(first)),
        });
        self.in_run = false;
        let result = self.attributes(start, first);
        if let Some(element) = self.document.elements.last_mut() {
            element.attributes.1 = position(self.document.attributes.len());
        }
        result
    }

    fn attributes(&mut self, start: &BytesStart<'_>, first: usize) -> Result<(), String> {
        let document = &mut *self.document;
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let name = attribute.key;
            if !is_name(name.as_ref()) {
                return Err("an attribute without a valid name".to_owned());
            }
            if attribute.value.contains('<') {
                return Err("`<` in an attribute".to_owned());
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| error.to_string())?;
            check_characters(&value)?;
            // A namespace is no attribute to XPath.
            if name.as_namespace_binding().is_some() {
                continue;
            }
            if document.attributes.len() - first == XML_ATTRIBUTES_MAX {
                document.limit = Some(Limit::Elements);
                return Err(format!("more than {XML_ATTRIBUTES_MAX} attributes of an element"));
            }
            let name = keep(&mut document.names, name.local_name().as_ref());
            let value = keep(&mut document.names, &value);
            document.attributes.push(Attribute { name, value });
        }
        Ok(())
    }

    fn close(&mut self) {
        self.in_run = false;
        let end = position(self.document.text.len());
        let open = self.open.pop();
        if let Some(element) = open.and_then(|at| self.document.elements.get_mut(at)) {
            element.text.1 = end;
        }
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        let Some(element) = self.open.last() else {
            let blank = text.chars().all(|character| matches!(character, ' ' | '\t' | '\n' | '\r'));
            return if blank { Ok(()) } else { Err("text outside of the root element".to_owned()) };
        };
        check_characters(text)?;
        let text = keep(&mut self.document.text, text);
        match self.document.runs.last_mut() {
            Some(run) if self.in_run => run.text.1 = text.1,
            _ => self.document.runs.push(Run { element: position(*element), text }),
        }
        self.in_run = true;
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), String> {
        if self.open.is_empty() {
            return Err("text outside of the root element".to_owned());
        }
        if let Some(character) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
            return self.text(character.encode_utf8(&mut [0; 4]));
        }
        match resolve_predefined_entity(reference) {
            Some(text) => self.text(text),
            None => {
                self.in_run = false;
                self.unseen = Some("an entity that is not predefined");
                Ok(())
            }
        }
    }

    fn doctype(&mut self, doctype: &str) -> Result<(), String> {
        if self.seen_doctype || !self.document.elements.is_empty() {
            return Err("DOCTYPE inside the document".to_owned());
        }
        self.seen_doctype = true;
        for declaration in ["<!ENTITY", "<!ATTLIST", "%"] {
            if doctype.contains(declaration) {
                self.unseen = Some("the DOCTYPE declares entities or attributes");
            }
        }
        Ok(())
    }
}

fn keep(room: &mut String, text: &str) -> Piece {
    let from = position(room.len());
    room.push_str(text);
    (from, position(room.len()))
}

/// XML 1.0, "Char".
fn check_characters(text: &str) -> Result<(), String> {
    let is_forbidden = |character: char| matches!(character, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    match text.chars().find(|character| is_forbidden(*character)) {
        Some(character) => Err(format!("character U+{:04X}", u32::from(character))),
        None => Ok(()),
    }
}

/// XML 1.0, "Name".
fn is_name(name: &str) -> bool {
    fn is_first(character: char) -> bool {
        matches!(character,
            'A'..='Z' | 'a'..='z' | '_' | ':' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}'
            | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}'
            | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}'
            | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
            | '\u{10000}'..='\u{effff}')
    }
    let is_next = |character: char| {
        is_first(character)
            || matches!(character, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
    };
    name.starts_with(is_first) && name.chars().all(is_next)
}

//! What Jaeger's agent receives: batches of spans in compact Thrift, as `jaeger.thrift` describes them.

use std::collections::BTreeMap;
use std::io::Cursor;
use thrift::protocol::{TCompactInputProtocol, TInputProtocol, TMessageType, TType};

/// What a field of a structure, or an element of a list, is.
#[derive(Debug)]
enum Value {
    Whole(i64),
    Text(Vec<u8>),
    List(Vec<Value>),
    Fields(BTreeMap<i16, Value>),
}

/// A span.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub name: String,
    /// Hexadecimal.
    pub trace: String,
    pub id: i64,
    pub parent: i64,
    pub tags: BTreeMap<String, String>,
    /// The spans that it refers to.
    pub references: Vec<i64>,
}

impl Value {
    fn field(&self, id: i16) -> &Value {
        match self {
            Value::Fields(fields) => fields.get(&id).unwrap_or_else(|| panic!("field {id} in {self:?}")),
            other => panic!("{other:?}"),
        }
    }

    fn whole(&self) -> i64 {
        match self {
            Value::Whole(number) => *number,
            other => panic!("{other:?}"),
        }
    }

    fn text(&self) -> String {
        match self {
            Value::Text(text) => String::from_utf8(text.clone()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn list(&self, id: i16) -> &[Value] {
        match self {
            Value::Fields(fields) => match fields.get(&id) {
                Some(Value::List(values)) => values,
                None => &[],
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn tags(&self, id: i16) -> BTreeMap<String, String> {
        let value = |tag: &Value| match tag.field(2).whole() {
            0 => tag.field(3).text(),
            2 => (tag.field(5).whole() == 1).to_string(),
            3 => tag.field(6).whole().to_string(),
            kind => panic!("a tag of kind {kind}: {tag:?}"),
        };
        self.list(id).iter().map(|tag| (tag.field(1).text(), value(tag))).collect()
    }
}

/// The spans in a datagram.
pub fn spans(datagram: &[u8]) -> Vec<Span> {
    let mut input = TCompactInputProtocol::new(Cursor::new(datagram));
    let head = input.read_message_begin().unwrap();
    assert_eq!((&*head.name, head.message_type), ("emitBatch", TMessageType::OneWay));
    let arguments = read(&mut input, TType::Struct);
    input.read_message_end().unwrap();
    let batch = arguments.field(1);
    let service = batch.field(1).field(1).text();
    let span = |span: &Value| Span {
        service: service.clone(),
        name: span.field(5).text(),
        trace: format!("{:016x}{:016x}", span.field(2).whole(), span.field(1).whole()),
        id: span.field(3).whole(),
        parent: span.field(4).whole(),
        tags: span.tags(10),
        references: span.list(6).iter().map(|reference| reference.field(4).whole()).collect(),
    };
    batch.list(2).iter().map(span).collect()
}

fn read(input: &mut impl TInputProtocol, kind: TType) -> Value {
    match kind {
        TType::Bool => Value::Whole(input.read_bool().unwrap().into()),
        TType::I32 => Value::Whole(input.read_i32().unwrap().into()),
        TType::I64 => Value::Whole(input.read_i64().unwrap()),
        TType::String => Value::Text(input.read_bytes().unwrap()),
        TType::List => {
            let list = input.read_list_begin().unwrap();
            let values = (0..list.size).map(|_| read(input, list.element_type)).collect();
            input.read_list_end().unwrap();
            Value::List(values)
        }
        TType::Struct => {
            let mut fields = BTreeMap::new();
            input.read_struct_begin().unwrap();
            loop {
                let field = input.read_field_begin().unwrap();
                if field.field_type == TType::Stop {
                    break;
                }
                fields.insert(field.id.unwrap(), read(input, field.field_type));
                input.read_field_end().unwrap();
            }
            input.read_struct_end().unwrap();
            Value::Fields(fields)
        }
        other => panic!("{other:?} is not in a batch of spans"),
    }
}

//! Where in a JSON value something stands, as a chain on the stack that becomes text only if it
//! must be told.

/// Bytes of a path that an answer repeats at most; member names can be long.
const TEXT_BYTES_MAX: usize = 256;

/// A place below the root of a value.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    Root,
    Member(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl<'p> Path<'p> {
    pub(crate) fn member(&'p self, name: &'p str) -> Path<'p> {
        Path::Member(self, name)
    }

    pub(crate) fn item(&'p self, index: usize) -> Path<'p> {
        Path::Item(self, index)
    }

    /// A JSON pointer, cut after 256 bytes.
    pub(crate) fn to_text(self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        let mut end = TEXT_BYTES_MAX.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    }

    fn write(self, out: &mut String) {
        match self {
            Path::Root => {}
            Path::Member(parent, name) => {
                parent.write(out);
                if out.len() <= TEXT_BYTES_MAX {
                    out.push('/');
                    out.push_str(&name.replace('~', "~0").replace('/', "~1"));
                }
            }
            Path::Item(parent, index) => {
                parent.write(out);
                if out.len() <= TEXT_BYTES_MAX {
                    out.push_str(&format!("/{index}"));
                }
            }
        }
    }
}

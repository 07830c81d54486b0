//! Listing: one page after the other, by cursor.
//!
//! Start reading at [`Pages`].

use crate::batches::parsed;
use crate::client::{Call, Client};
use crate::documents::{Consistency, ReadOptions, Table};
use crate::failure::ClientError;
use crate::path::{document_path, encoded};
use cortado_wire::PageAnswer;

/// In which order of keys a collection is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The smallest key first.
    #[default]
    Ascending,
    /// The largest key first.
    Descending,
}

impl Table {
    /// Lists the documents below `prefix`, in key order: a collection.
    ///
    /// * `prefix`: the first parts of the key, at least the resource.
    /// * `limit`: documents of a page, 1 to 1,000.
    pub fn list<T: AsRef<str>>(&self, prefix: &[T], order: Order, limit: usize) -> Pages {
        let path = document_path(&self.database.name, &self.name, prefix);
        let order = match order {
            Order::Ascending => "",
            Order::Descending => "&order=desc",
        };
        self.pages(format!("{path}?limit={limit}{order}"))
    }

    /// Lists the whole table, partition after partition, each in key order.
    ///
    /// * `limit`: documents of a page, 1 to 1,000.
    pub fn scan(&self, limit: usize) -> Pages {
        let path = document_path::<&str>(&self.database.name, &self.name, &[]);
        self.pages(format!("{path}?limit={limit}"))
    }

    fn pages(&self, path: String) -> Pages {
        let client = self.database.client.clone();
        Pages { client, path, consistency: Consistency::default(), state: State::Begin }
    }
}

/// The pages of a listing, fetched one by one.
#[derive(Debug)]
pub struct Pages {
    client: Client,
    /// Path and query without a cursor.
    path: String,
    consistency: Consistency,
    state: State,
}

#[derive(Debug)]
enum State {
    Begin,
    At { cursor: String },
    End,
}

impl Pages {
    /// The same pages read with another promise; strong otherwise.
    pub fn with_consistency(self, consistency: Consistency) -> Pages {
        Pages { consistency, ..self }
    }

    /// The same pages from where another walk stood.
    pub fn from_cursor(self, cursor: String) -> Pages {
        Pages { state: State::At { cursor }, ..self }
    }

    /// Where the walk stands: what [`from_cursor`](Self::from_cursor) takes; `None` at both ends.
    pub fn cursor(&self) -> Option<&str> {
        match &self.state {
            State::At { cursor } => Some(cursor),
            State::Begin | State::End => None,
        }
    }

    /// The next page; `None` after the last one. A page may be empty.
    ///
    /// # Errors
    /// The read was refused, or not served in time; the same call again tries the same page.
    pub async fn next(&mut self) -> Result<Option<PageAnswer>, ClientError> {
        let path = match &self.state {
            State::Begin => self.path.clone(),
            State::At { cursor } => format!("{}&cursor={}", self.path, encoded(cursor)),
            State::End => return Ok(None),
        };
        let read = ReadOptions { consistency: self.consistency, session: None };
        let answer = self.client.send(&read.apply(Call::get(path))?).await?;
        let page: PageAnswer = parsed(&answer.body)?;
        self.state = match &page.next {
            Some(cursor) => State::At { cursor: cursor.clone() },
            None => State::End,
        };
        Ok(Some(page))
    }
}

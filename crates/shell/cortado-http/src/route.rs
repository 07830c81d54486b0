//! One route: who answers it, and what is known about it.
//!
//! A handler is typed by what its path names, so that it never meets a path that names something
//! else. Start reading at [`Route`].

use crate::answer::Answer;
use crate::body::ReceivedBody;
use crate::call::Call;
use crate::failure::Failure;
use crate::room::Need;
use crate::target::{KeyTarget, TableTarget, Target};
use cortado_gateway::Database;
use cortado_wire::openapi::Description;
use std::pin::Pin;
use std::sync::Arc;

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    /// Who answers.
    pub(crate) handler: Handler,
    /// How much its answer is needed.
    pub(crate) need: Need,
    /// For clients.
    pub(crate) description: Description,
}

impl Route {
    /// Whether an error must say what became of the write.
    pub(crate) fn writes(&self) -> bool {
        self.need == Need::Outcome
    }

    /// Whether what it answers depends on documents, and caches may keep it if they ask again.
    pub(crate) fn is_of_documents(&self) -> bool {
        self.description.path.starts_with("/v1/{database}/{table}")
    }

    /// Whether a success changes the cluster rather than documents.
    pub(crate) fn is_order(&self) -> bool {
        self.writes() && self.description.path.starts_with("/admin/")
    }
}

/// Who answers a request, by what its path must name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Handler {
    /// The service, or what an administrative path names.
    Service(OnService),
    /// A database.
    Database(OnDatabase),
    /// A table as a whole.
    Table(OnTable),
    /// Documents whose keys begin alike.
    Collection(OnKey),
    /// Documents whose keys are alike but for the last part.
    Siblings(OnKey),
    /// One document.
    Document(OnKey),
}

/// What a handler answers.
pub(crate) type Answering<'c> = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send + 'c>>;

type OnService = for<'c> fn(&'c Call<'c>, ReceivedBody) -> Answering<'c>;
type OnDatabase = for<'c> fn(&'c Call<'c>, &'c Arc<Database>, ReceivedBody) -> Answering<'c>;
type OnTable = for<'c> fn(&'c Call<'c>, TableTarget<'c>, ReceivedBody) -> Answering<'c>;
type OnKey = for<'c> fn(&'c Call<'c>, &'c KeyTarget<'c>, ReceivedBody) -> Answering<'c>;

/// A handler and what it is to work on: they fit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work<'c> {
    Service(OnService),
    Database(OnDatabase, &'c Arc<Database>),
    Table(OnTable, TableTarget<'c>),
    Key(OnKey, &'c KeyTarget<'c>),
}

impl Handler {
    /// This handler at work on `target`; `None` if it is made for something else.
    pub(crate) fn on<'c>(self, target: &'c Target<'c>) -> Option<Work<'c>> {
        match (self, target) {
            (Handler::Service(run), Target::Service) => Some(Work::Service(run)),
            (Handler::Database(run), Target::Database(it)) => Some(Work::Database(run, it)),
            (Handler::Table(run), Target::Table(it)) => Some(Work::Table(run, *it)),
            (Handler::Collection(run), Target::Collection(it)) => Some(Work::Key(run, it)),
            (Handler::Siblings(run), Target::Collection(it)) if it.lacks_one_part() => {
                Some(Work::Key(run, it))
            }
            (Handler::Document(run), Target::Document(it)) => Some(Work::Key(run, it)),
            (_, _) => None,
        }
    }
}

impl<'c> Work<'c> {
    /// Answers the request.
    pub(crate) fn run(self, call: &'c Call<'c>, body: ReceivedBody) -> Answering<'c> {
        match self {
            Work::Service(run) => run(call, body),
            Work::Database(run, database) => run(call, database, body),
            Work::Table(run, table) => run(call, table, body),
            Work::Key(run, key) => run(call, key, body),
        }
    }
}

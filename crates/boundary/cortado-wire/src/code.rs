//! Why a request was not done: the stable names of all errors.
//!
//! Says nothing about statuses: `cortado-http` maps each code to one, in one table.
//! Start reading at [`Code`].

use std::fmt;

/// Declares the codes once: name in code, name on the wire, title.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $title:literal;)+) => {
        /// The stable name of an error. Closed: a client may match all of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Code] = &[$(Code::$variant,)+];

            /// The name on the wire, snake_case.
            pub const fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)+ }
            }

            /// One line that says what is wrong, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)+ }
            }

            /// The problem type: an identifier, not a place.
            pub const fn type_uri(self) -> &'static str {
                match self { $(Code::$variant => concat!("urn:cortado:problem:", $name),)+ }
            }
        }
    };
}

codes! {
    /// The request breaks a rule of HTTP.
    BadRequest = "bad_request", "Malformed HTTP request";
    /// The path is not well-formed.
    BadPath = "bad_path", "Malformed path";
    /// A name of a database, table or key part.
    BadName = "bad_name", "Invalid name";
    /// A part of a key is empty.
    EmptyKeyPart = "empty_key_part", "A part of a key is empty";
    /// A key breaks a rule.
    BadKey = "bad_key", "Invalid key";
    /// A query parameter that the route does not know.
    UnknownParameter = "unknown_parameter", "Unknown query parameter";
    /// A query parameter that cannot be understood.
    BadParameter = "bad_parameter", "Invalid query parameter";
    /// A header that cannot be understood.
    BadHeader = "bad_header", "Invalid header";
    /// A malformed entity tag.
    BadEtag = "bad_etag", "Malformed entity tag";
    /// A cursor of another request, or none of ours.
    BadCursor = "bad_cursor", "The cursor does not belong to this request";
    /// A session token of another database, or none of ours.
    BadSession = "bad_session", "The session token does not belong to this database";
    /// A change stream cannot start there.
    BadSince = "bad_since", "The change stream cannot start there";
    /// The route needs a body.
    MissingBody = "missing_body", "The request requires a body";
    /// The route takes no body.
    UnexpectedBody = "unexpected_body", "The request does not take a body";
    /// The body ended early, or its framing is broken.
    IncompleteBody = "incomplete_body", "The body is incomplete";
    /// Not JSON.
    MalformedJson = "malformed_json", "The body is not valid JSON";
    /// Something of the API that this version does not have.
    NotSupported = "not_supported", "Not supported in this version";

    /// A web page of another origin asks for a change.
    CrossOrigin = "cross_origin", "The request comes from a web page of another origin";

    /// Nothing is there.
    NoSuchRoute = "no_such_route", "There is no such route";
    /// The database does not exist.
    NoSuchDatabase = "no_such_database", "There is no such database";
    /// The table does not exist.
    NoSuchTable = "no_such_table", "There is no such table";
    /// The document does not exist.
    NoSuchDocument = "no_such_document", "There is no such document";
    /// The path has more parts than the table's key.
    NoSuchDocumentPath = "no_such_document_path", "The path has more parts than the key";
    /// The partition does not exist.
    NoSuchPartition = "no_such_partition", "There is no such partition";
    /// The node does not exist.
    NoSuchNode = "no_such_node", "There is no such node";
    /// The change of where replicas live does not exist, or is over.
    NoSuchChange = "no_such_change", "There is no such change";

    /// The path exists, but not with this method.
    MethodNotAllowed = "method_not_allowed", "The method is not allowed here";
    /// No acceptable media type.
    NotAcceptable = "not_acceptable", "No acceptable media type";
    /// The request did not arrive in time.
    RequestTimeout = "request_timeout", "The request did not arrive in time";
    /// Declared already, and differently.
    AlreadyExists = "already_exists", "It already exists with a different declaration";
    /// The new schema cannot read what the old one wrote.
    IncompatibleSchema = "incompatible_schema", "The new schema refuses older documents";
    /// A `test` of a JSON patch failed.
    PatchTestFailed = "patch_test_failed", "A test of the patch failed";
    /// The state of a node or partition does not allow it.
    Conflict = "conflict", "The current state does not allow it";
    /// The changes have been trimmed.
    ChangesTrimmed = "changes_trimmed", "The requested changes were trimmed";
    /// A condition of the request is not met.
    ConditionFailed = "condition_failed", "A precondition failed";

    /// The body is too large.
    BodyTooLarge = "body_too_large", "The body is too large";
    /// A document is too large.
    DocumentTooLarge = "document_too_large", "A document is too large";
    /// What is written together is too large.
    TransactionTooLarge = "transaction_too_large", "The transaction is too large";
    /// The documents asked for are more than one answer holds.
    AnswerTooLarge = "answer_too_large", "The answer would be too large";
    /// Too many operations, keys or steps.
    TooManyOperations = "too_many_operations", "Too many operations in one request";
    /// The URI is too long.
    UriTooLong = "uri_too_long", "The URI is too long";
    /// The media type of the body.
    UnsupportedMediaType = "unsupported_media_type", "The media type is not supported";
    /// The content coding of the body.
    UnsupportedCoding = "unsupported_coding", "The content coding is not supported";
    /// An expectation other than `100-continue`.
    ExpectationFailed = "expectation_failed", "The expectation cannot be met";
    /// The host of the request is not this one.
    WrongHost = "wrong_host", "The request names a host that is not served here";
    /// Too many header fields, or too many bytes of them.
    HeadersTooLarge = "headers_too_large", "The header section is too large";

    /// JSON, but no object where one is needed.
    NotAnObject = "not_an_object", "The document is not a JSON object";
    /// JSON that cannot be stored as it is.
    UnacceptableJson = "unacceptable_json", "The JSON cannot be stored as it is written";
    /// The body has another shape than the route needs.
    BadBody = "bad_body", "The body does not have the expected shape";
    /// A part of the body that this version does not have.
    MemberNotSupported = "member_not_supported", "A member of the body is not supported";
    /// The document violates the table's schema.
    SchemaViolated = "schema_violated", "The document violates the table's schema";
    /// To compile, to compare or to validate takes more steps than it may.
    SchemaTooExpensive = "schema_too_expensive", "The schema takes too many steps";
    /// The patch does not fit the document.
    PatchFailed = "patch_failed", "The patch cannot be applied";
    /// A key in a body has too few or too many parts.
    WrongKeyArity = "wrong_key_arity", "A key has too few or too many parts";
    /// Operations of several resources.
    CrossResource = "cross_resource", "A transaction spans several resources";
    /// A document is named twice.
    RepeatedKey = "repeated_key", "A transaction names a document twice";
    /// No operations.
    EmptyTransaction = "empty_transaction", "The transaction or bulk is empty";
    /// No keys.
    EmptyBatch = "empty_batch", "The batch is empty";
    /// A check without a condition.
    NothingToCheck = "nothing_to_check", "A check requires a condition";
    /// The idempotency key belongs to another request.
    IdempotencyKeyReused = "idempotency_key_reused", "The idempotency key was used before";
    /// The declaration of a database or table cannot be.
    BadDeclaration = "bad_declaration", "Invalid declaration";

    /// The partition remembers as many answers as it may.
    IdempotencyBudget = "idempotency_budget", "The partition remembers too many answers";
    /// Too many change streams are open.
    TooManyStreams = "too_many_streams", "Too many change streams are open";
    /// A method that HTTP or this server does not know.
    UnknownMethod = "unknown_method", "The method is not implemented";
    /// A transfer coding other than `chunked`.
    UnknownTransferCoding = "unknown_transfer_coding", "The transfer coding is not implemented";
    /// A defect of the server.
    Internal = "internal", "Internal server error";
    /// Too much is in flight.
    Overloaded = "overloaded", "The server is overloaded";
    /// No replica leads the partition: between two leaders, or for longer.
    NoLeader = "no_leader", "No replica leads the partition";
    /// No replica can serve the read as promised, or the cluster's own documents cannot be read.
    Unavailable = "unavailable", "No replica can serve the request now";
    /// Replicas have different histories, and an operator must choose.
    Disputed = "disputed", "The partition's replicas have different histories";
    /// The partition's log was written by a newer version.
    NeedsUpgrade = "needs_upgrade", "The nodes must be upgraded to serve the partition";
    /// The log takes no writes.
    LogUnavailable = "log_unavailable", "The log does not accept writes";
    /// The partition takes no writes any more.
    ReadOnly = "read_only", "The partition is read-only";
    /// A setting of the database's log endangers what would be written.
    LogDrift = "log_drift", "The database is read-only: its log's settings are not safe";
    /// The process is ending.
    ShuttingDown = "shutting_down", "The server is shutting down";
    /// Perhaps done.
    OutcomeUnknown = "outcome_unknown", "The outcome of the write is unknown";
    /// The deadline passed.
    DeadlinePassed = "deadline_passed", "The deadline passed";
    /// No space for more records.
    StorageFull = "storage_full", "The storage is full";
}

impl Code {
    /// Reads the name on the wire; `None` for a code of another version.
    pub fn parse(name: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.name() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_one_name_of_its_own() {
        let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            let letters = |b: u8| b.is_ascii_lowercase() || b == b'_';
            assert!(code.name().bytes().all(letters), "{code}");
            assert_eq!(Code::parse(code.name()), Some(*code));
            assert!(code.type_uri().ends_with(code.name()));
        }
        assert_eq!(Code::parse("nothing"), None);
    }
}

//! The one table from errors and results to HTTP statuses.
//!
//! No status of an error stands anywhere else. Start reading at [`of_code`].

use cortado_document::Done;
use cortado_wire::Code;
use http::StatusCode;

/// The status of an error.
pub(crate) fn of_code(code: Code) -> StatusCode {
    match code {
        Code::BadRequest
        | Code::BadPath
        | Code::BadName
        | Code::EmptyKeyPart
        | Code::BadKey
        | Code::UnknownParameter
        | Code::BadParameter
        | Code::BadHeader
        | Code::BadEtag
        | Code::BadCursor
        | Code::BadSession
        | Code::BadSince
        | Code::MissingBody
        | Code::UnexpectedBody
        | Code::IncompleteBody
        | Code::MalformedJson
        | Code::NotSupported => StatusCode::BAD_REQUEST,
        Code::CrossOrigin => StatusCode::FORBIDDEN,
        Code::NoSuchRoute | Code::NoSuchDatabase | Code::NoSuchTable => StatusCode::NOT_FOUND,
        Code::NoSuchDocument | Code::NoSuchDocumentPath => StatusCode::NOT_FOUND,
        Code::NoSuchPartition | Code::NoSuchNode | Code::NoSuchChange => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::AlreadyExists | Code::IncompatibleSchema => StatusCode::CONFLICT,
        Code::PatchTestFailed | Code::Conflict => StatusCode::CONFLICT,
        Code::ChangesTrimmed => StatusCode::GONE,
        Code::ConditionFailed => StatusCode::PRECONDITION_FAILED,
        Code::BodyTooLarge
        | Code::DocumentTooLarge
        | Code::TransactionTooLarge
        | Code::AnswerTooLarge
        | Code::TooManyOperations => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UriTooLong => StatusCode::URI_TOO_LONG,
        Code::UnsupportedMediaType | Code::UnsupportedCoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::ExpectationFailed => StatusCode::EXPECTATION_FAILED,
        Code::WrongHost => StatusCode::MISDIRECTED_REQUEST,
        Code::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Code::NotAnObject
        | Code::UnacceptableJson
        | Code::BadBody
        | Code::MemberNotSupported
        | Code::SchemaViolated
        | Code::SchemaTooExpensive
        | Code::PatchFailed
        | Code::WrongKeyArity
        | Code::CrossResource
        | Code::RepeatedKey
        | Code::EmptyTransaction
        | Code::EmptyBatch
        | Code::NothingToCheck
        | Code::IdempotencyKeyReused
        | Code::BadDeclaration => StatusCode::UNPROCESSABLE_ENTITY,
        Code::IdempotencyBudget | Code::TooManyStreams => StatusCode::TOO_MANY_REQUESTS,
        Code::UnknownMethod | Code::UnknownTransferCoding => StatusCode::NOT_IMPLEMENTED,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Disputed | Code::NeedsUpgrade | Code::LogDrift => StatusCode::SERVICE_UNAVAILABLE,
        Code::Overloaded
        | Code::NoLeader
        | Code::Unavailable
        | Code::LogUnavailable
        | Code::ReadOnly
        | Code::ShuttingDown
        | Code::OutcomeUnknown => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlinePassed => StatusCode::GATEWAY_TIMEOUT,
        Code::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// The status of an operation that was done.
pub(crate) fn of_done(done: Done) -> StatusCode {
    match done {
        Done::Created => StatusCode::CREATED,
        Done::Replaced | Done::Patched | Done::Checked => StatusCode::OK,
        Done::Deleted => StatusCode::NO_CONTENT,
        Done::Missing => StatusCode::NOT_FOUND,
    }
}

/// Whether an answer of this status says when to come back.
pub(crate) fn asks_to_come_back(status: StatusCode) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS
}

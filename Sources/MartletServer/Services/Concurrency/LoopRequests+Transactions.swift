import HTTP2
import MVCC
import Raft
import Replica

/// What a transaction at the top came to.
struct CommittedTransaction {
    let revision: Revision
    let succeeded: Bool
    /// One for each operation of the branch that was taken.
    let steps: [OperationAnswer]
}

// For services that are made of other services' requests.
extension LoopRequests {
    func propose(_ command: LeaseCommand, _ handler: @escaping ResultHandler) {
        propose(LeaseCommandCodec.encode(command, prefixBytes: Self.commandPrefixBytes), in: .lease, handler)
    }

    /// Proposes the transaction; a failure is what a client that had sent it would have been answered.
    func commit(
        _ transaction: Transaction, _ handler: @escaping (Swift.Result<CommittedTransaction, GRPCStatus>) -> Void
    ) {
        let payload = CommandCodec.encode(.transaction(transaction), prefixBytes: Self.commandPrefixBytes)
        propose(payload) { result in
            switch result {
            case .success(.keyValue(let outcome)):
                switch outcome.result {
                case .transaction(let answer):
                    handler(
                        .success(
                            CommittedTransaction(
                                revision: answer.revision ?? outcome.revision, succeeded: answer.succeeded,
                                steps: answer.answers)))
                case .failed(let error): handler(.failure(GRPCStatus(withoutCode: error)))
                default: handler(.failure(.anotherKind))
                }
            case .success: handler(.failure(.anotherKind))
            case .failure(let failure): handler(.failure(GRPCStatus(failure)))
            }
        }
    }
}

extension GRPCStatus {
    /// A request error as etcd's lock and election services pass it on: they get it from a client of their own, by
    /// which it has lost its code.
    init(withoutCode error: RequestError) { self.init(.unknown, error.message) }

    /// The replica answered something that is no answer to what was proposed.
    static let anotherKind = GRPCStatus(.internalError, "an answer of another kind")
}

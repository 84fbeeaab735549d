import PeerTransport
import PeerTransportNIO
import Platform
import WriteAheadLog

extension RaftError {
    /// What went wrong with a directory while it was opened.
    init(opening root: String, _ error: any Error) {
        self =
            switch error {
            case let error as RaftError: error
            case let refusal as RecoveryRefusal: .recoveryRefused(refusal)
            case is UnfinishedRecovery: .recoveryUnfinished(root)
            case WALError.foreign: .foreignDirectory(root)
            case WALError.io(let error): .cannotOpen(root, reason: "\(error)")
            case let error as WALError: .damagedDirectory(root, reason: "\(error)")
            case let error as FileError: .cannotOpen(root, reason: "\(error)")
            case let error as ThreadRefusal: .systemRefused("\(error)")
            case let error as DirectoryRegisterDamage: .damagedDirectory(root, reason: "\(error)")
            case let error as SnapshotDamage: .damagedDirectory(root, reason: "\(error)")
            case let error as PeerTransportError: .cannotListen("\(error)")
            case let failure as NodeFailure where failure.part == .stateMachine: .failed(RaftFailure(failure))
            case let failure as NodeFailure: .damagedDirectory(root, reason: "\(failure)")
            default: .cannotOpen(root, reason: "\(error)")
            }
    }
}

/// Commits applied writes to the engine, beside everything else.
final class FlushStage<Machine: NodeMachine>: Stage {
    typealias Input = any FlushJob

    private let apply: any Mailbox<ApplyInput<Machine>>

    init(apply: any Mailbox<ApplyInput<Machine>>) { self.apply = apply }

    var wakeAt: UInt64? { nil }

    func process(_ inputs: inout [any FlushJob], now: UInt64) {
        for job in inputs {
            do {
                try job.run()
                apply.post(.flushed)
            } catch {
                apply.post(.failed(NodeFailure(part: .engine, reason: "\(error)")))
            }
        }
    }
}

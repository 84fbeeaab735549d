/// Commits applied writes to the engine, beside everything else.
final class FlushStage<Machine: NodeMachine>: Stage {
    typealias Input = any FlushJob

    private let apply: any Mailbox<ApplyInput<Machine>>
    private let published: PublishedState<Machine.View>
    private let world: any World

    init(apply: any Mailbox<ApplyInput<Machine>>, published: PublishedState<Machine.View>, world: any World) {
        self.apply = apply
        self.published = published
        self.world = world
    }

    var wakeAt: UInt64? { nil }

    func process(_ inputs: inout [any FlushJob], now: UInt64) {
        for job in inputs {
            do {
                let start = world.now()
                try job.run()
                published.engineCommits.record(world.now() - start)
                apply.post(.flushed)
            } catch {
                apply.post(.failed(NodeFailure(part: .engine, reason: "\(error)")))
            }
        }
    }
}

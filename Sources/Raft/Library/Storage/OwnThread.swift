import PlatformPOSIX

/// Runs what blocks on the disk, or waits for threads, on a thread that may block.
func onOwnThread<Value: Sendable, Failure>(
    _ body: @escaping @Sendable () throws(Failure) -> Value
) async throws(Failure) -> Value {
    let result = await withCheckedContinuation { continuation in
        SystemThread.start(name: "raft-life") {
            continuation.resume(returning: Result { () throws(Failure) in try body() })
        }
    }
    return try result.get()
}

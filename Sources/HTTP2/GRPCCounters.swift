/// What has happened on one method, on one event loop or on all.
package struct GRPCMethodCounters: Sendable {
    package var path: String
    package var started: UInt64 = 0
    package var messagesReceived: UInt64 = 0
    package var messagesSent: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    package var bytesSent: UInt64 = 0
    /// By `GRPCCode.rawValue`.
    package var handled = [UInt64](repeating: 0, count: GRPCCode.allCases.count)

    package init(path: String) { self.path = path }
}

/// One event loop's counters: plain integers, no atomics; whoever wants to know comes to the event loop and adds them
/// up.
final class GRPCCounters: @unchecked Sendable {  // used on its event loop only
    enum Field: Int {
        case started, messagesReceived, messagesSent, bytesReceived, bytesSent
        static let count = 5
    }
    private static let stride = Field.count + GRPCCode.allCases.count

    private let values: UnsafeMutableBufferPointer<UInt64>
    /// The peers that are connected, and ever were.
    var connections = 0
    var connectionsEver: UInt64 = 0

    /// One more than there are methods: calls of unknown methods come last.
    init(methods: Int) {
        values = .allocate(capacity: (methods + 1) * Self.stride)
        values.initialize(repeating: 0)
    }

    deinit { values.deallocate() }

    @inline(__always)
    func add(_ count: Int, to field: Field, method: Int) {
        values[method * Self.stride + field.rawValue] &+= UInt64(truncatingIfNeeded: count)
    }

    @inline(__always)
    func handled(_ code: GRPCCode, method: Int) {
        values[method * Self.stride + Field.count + Int(code.rawValue)] &+= 1
    }

    func add(to sums: inout [GRPCMethodCounters]) {
        for method in sums.indices {
            let base = method * Self.stride
            sums[method].started += values[base + Field.started.rawValue]
            sums[method].messagesReceived += values[base + Field.messagesReceived.rawValue]
            sums[method].messagesSent += values[base + Field.messagesSent.rawValue]
            sums[method].bytesReceived += values[base + Field.bytesReceived.rawValue]
            sums[method].bytesSent += values[base + Field.bytesSent.rawValue]
            for code in 0..<GRPCCode.allCases.count {
                sums[method].handled[code] += values[base + Field.count + code]
            }
        }
    }
}

/// Is told of calls as they begin and end, on their event loops, for what counters cannot tell (durations, audit,
/// traces). It is on the path of every call.
package protocol GRPCObserver: AnyObject, Sendable {
    func callStarted(_ call: GRPCCall)
    func callEnded(_ call: GRPCCall, _ code: GRPCCode)
}

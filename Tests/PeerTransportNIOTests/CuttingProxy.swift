import Foundation
import Glibc
import PeerTransport
import Synchronization
import Testing

/// Stands before a member's port, passes on what comes, and cuts connections for snapshots where it is told to.
final class CuttingProxy: Sendable {
    enum Cut: Sendable {
        case both
        /// The acceptor is not told that its connection is gone.
        case diallerOnly
    }

    private struct State {
        var target: Int
        var passed = 0
        var cuts: [Int]
        var kind: Cut
        var snapshots: [(dialler: Int32, acceptor: Int32)] = []
        var open: [Int32] = []
        var connections = 0
        var isRefusing = false
        var isStopped = false
    }

    private let listener: Int32
    let port: Int
    private let state: Mutex<State>

    /// - Parameter cuts: after so many bytes of all snapshots' connections together, ascending.
    init(to target: Int, cuts: [Int] = [], _ kind: Cut = .both) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 64) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        try #require(result, "a port for the proxy: \(errno)")
        port = Int(UInt16(bigEndian: address.sin_port))
        state = Mutex(State(target: target, cuts: cuts, kind: kind))
        Thread.detachNewThread {
            while true {
                let dialler = accept(listener, nil, nil)
                guard dialler >= 0 else { break }
                Thread.detachNewThread { self.serve(dialler) }
            }
            close(listener)
        }
    }

    /// From diallers of snapshots.
    var passedBytes: Int { state.withLock { $0.passed } }
    /// Those for snapshots.
    var connections: Int { state.withLock { $0.connections } }

    /// New connections for snapshots are closed at once.
    func refuse(_ isRefusing: Bool) { state.withLock { $0.isRefusing = isRefusing } }

    func cutNow() { state.withLock { cut(&$0) } }

    func stop() {
        state.withLock { state in
            state.isStopped = true
            for descriptor in state.open { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
        // Closed by the thread that accepts: here its number could be another test's before that thread notices.
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private func cut(_ state: inout State) {
        for (dialler, acceptor) in state.snapshots {
            shutdown(dialler, Int32(SHUT_RDWR))
            if state.kind == .both { shutdown(acceptor, Int32(SHUT_RDWR)) }
        }
        state.snapshots = []
    }

    private func serve(_ dialler: Int32) {
        // Magic bytes, a frame's header, and the hello up to its purpose.
        var head = [UInt8](repeating: 0, count: 16)
        guard recv(dialler, &head, 16, Int32(MSG_WAITALL)) == 16 else {
            close(dialler)
            return
        }
        let isSnapshot = head[15] == 2
        let acceptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let isAdmitted = state.withLock { state in
            state.open += [dialler, acceptor]
            if isSnapshot { state.connections += 1 }
            guard !state.isStopped, !(isSnapshot && state.isRefusing) else { return false }
            if isSnapshot { state.snapshots.append((dialler, acceptor)) }
            return true
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(state.withLock { $0.target }).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(acceptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        let back = DispatchSemaphore(value: 0)
        if isAdmitted, isConnected, pass(head[...], to: acceptor, isCounted: isSnapshot) {
            Thread.detachNewThread {
                self.relay(from: acceptor, to: dialler, isCounted: false)
                back.signal()
            }
            relay(from: dialler, to: acceptor, isCounted: isSnapshot)
            if !keepsAcceptor { shutdown(acceptor, Int32(SHUT_RDWR)) }
            back.wait()
        }
        state.withLock { state in
            state.open.removeAll { $0 == dialler || $0 == acceptor }
            state.snapshots.removeAll { $0.dialler == dialler }
        }
        close(dialler)
        close(acceptor)
    }

    private var keepsAcceptor: Bool { state.withLock { $0.kind == .diallerOnly && !$0.isStopped } }

    private func relay(from source: Int32, to target: Int32, isCounted: Bool) {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(source, &bytes, bytes.count, 0)
            guard count > 0 else {
                if !isCounted { shutdown(target, Int32(SHUT_RDWR)) }
                return
            }
            // An acceptor that is not told must not notice that nobody reads what it says.
            guard pass(bytes[..<count], to: target, isCounted: isCounted) || (!isCounted && keepsAcceptor) else {
                return
            }
        }
    }

    private func pass(_ bytes: ArraySlice<UInt8>, to target: Int32, isCounted: Bool) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(target, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        guard isCounted else { return true }
        return state.withLock { state in
            state.passed += bytes.count
            guard let next = state.cuts.first, state.passed >= next else { return true }
            state.cuts.removeFirst()
            cut(&state)
            return false
        }
    }
}

/// A member's port that is served by a test.
final class RawListener {
    private let descriptor: Int32
    let port: Int
    private var others: [RawConnection] = []

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && listen(descriptor, 64) == 0
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        try #require(result, "a port: \(errno)")
        port = Int(UInt16(bigEndian: address.sin_port))
        var timeout = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// The next connection for a snapshot, with its hello read.
    func acceptSnapshot() throws -> RawConnection {
        while true {
            let client = accept(descriptor, nil, nil)
            try #require(client >= 0, "nobody dials")
            let raw = RawConnection(descriptor: client)
            if case .hello(let hello)? = try raw.readFrames(1).first, hello.purpose == 2 { return raw }
            others.append(raw)
        }
    }
}

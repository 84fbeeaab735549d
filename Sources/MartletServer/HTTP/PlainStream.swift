import NIOCore

/// An answer that is given piece by piece, on its connection's event loop. When the client has gone, what is written
/// goes nowhere.
protocol PlainStreamAnswer: AnyObject, Sendable {
    var eventLoop: any EventLoop { get }
    /// False while the client does not take what has been written: time to hold back whoever writes.
    var isWritable: Bool { get }
    /// The head of the answer; once, before anything is written.
    func begin(status: Int, fields: [(name: String, value: String)])
    func write(_ bytes: ByteBuffer)
    func end()
    /// The answer cannot be ended as it was begun: the connection is closed, or the stream reset, so that nobody takes
    /// it for whole.
    func abort()
    /// No more of the request's body is read until ``resumeBody()``; what has been read already waits too.
    func pauseBody()
    func resumeBody()
}

/// Takes a request whose body comes, and whose answer goes, piece by piece. On the connection's event loop.
protocol PlainStreamReceiver: AnyObject {
    func onBody(_ part: ByteBuffer)
    func onBodyEnd()
    /// The client has taken what it had not before: `isWritable` is true again.
    func onWritable()
    /// The client has gone. Not called after `end`.
    func onCancel()
}

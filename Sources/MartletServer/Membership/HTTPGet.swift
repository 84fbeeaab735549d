import NIOCore

/// One GET of another member, for somebody who may wait: an answer, or a sentence why there is none.
enum HTTPGet {
    typealias Answer = HTTPAsk.Answer
    typealias Failure = HTTPAsk.Failure

    /// Blocks for `timeout` at most; not to be called on an event loop.
    static func get(_ url: ServerURL, _ path: String, timeout: TimeAmount) throws(Failure) -> Answer {
        try HTTPAsk.ask(url, HTTPAsk.Request(path: path), timeout: timeout)
    }
}

/// A member's `/metrics`, which it serves over HTTP/1 beside its API.
package enum MetricsPage {
    /// Nil where there is none, or it does not come in time.
    package static func fetch(from endpoint: Endpoint, timeout: Duration) async -> String? {
        let answer = await PlainHTTP.send("/metrics", to: endpoint, timeout: timeout)
        return answer.flatMap { $0.status == 200 ? String(decoding: $0.body, as: UTF8.self) : nil }
    }

    /// The number of the first sample of this name.
    package static func value(of name: String, in page: String) -> Double? {
        for line in page.split(whereSeparator: \.isNewline) where line.hasPrefix(name + " ") {
            return Double(line.dropFirst(name.count + 1))
        }
        return nil
    }
}

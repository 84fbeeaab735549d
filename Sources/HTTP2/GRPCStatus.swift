/// How a call ended (https://grpc.io/docs/guides/status-codes).
package enum GRPCCode: UInt8, Sendable, CaseIterable {
    case ok = 0
    case cancelled
    case unknown
    case invalidArgument
    case deadlineExceeded
    case notFound
    case alreadyExists
    case permissionDenied
    case resourceExhausted
    case failedPrecondition
    case aborted
    case outOfRange
    case unimplemented
    case internalError
    case unavailable
    case dataLoss
    case unauthenticated
}

/// A call's code, its message, and the serialized `google.rpc.Status` that some answers carry besides.
package struct GRPCStatus: Error, Hashable, Sendable {
    package var code: GRPCCode
    package var message: String
    package var details: [UInt8]

    package init(_ code: GRPCCode, _ message: String = "", details: [UInt8] = []) {
        self.code = code
        self.message = message
        self.details = details
    }

    package static let ok = GRPCStatus(.ok)
}

extension GRPCStatus: CustomStringConvertible {
    package var description: String { "\(code): \(message)" }
}

extension GRPCStatus {
    /// The fields of the trailers. As in gRPC for Go, the message is there when it is empty.
    var fields: [(name: String, value: [UInt8])] {
        var fields: [(name: String, value: [UInt8])] = [
            ("grpc-status", Array(String(code.rawValue).utf8)),
            ("grpc-message", PercentEncoding.encode(message)),
        ]
        if !details.isEmpty { fields.append(("grpc-status-details-bin", Base64.encode(details))) }
        return fields
    }

    /// What a reset without a status says (gRPC over HTTP/2, "Errors").
    init(resetBy code: HTTP2ErrorCode) {
        let grpcCode: GRPCCode =
            switch code {
            case .refusedStream: .unavailable
            case .cancel: .cancelled
            case .enhanceYourCalm: .resourceExhausted
            case .inadequateSecurity: .permissionDenied
            default: .internalError
            }
        self.init(grpcCode, "stream terminated by RST_STREAM with error code: \(code.rawValue)")
    }

    /// What an answer that is not gRPC's says (gRPC, "HTTP to gRPC Status Code Mapping").
    init(httpStatus: Int) {
        let grpcCode: GRPCCode =
            switch httpStatus {
            case 400: .internalError
            case 401: .unauthenticated
            case 403: .permissionDenied
            case 404: .unimplemented
            case 429, 502, 503, 504: .unavailable
            default: .unknown
            }
        self.init(grpcCode, "unexpected HTTP status code received from server: \(httpStatus)")
    }
}

/// gRPC's encoding of `grpc-message`: printable ASCII but for "%" as it is, all else as %XX of UTF-8 bytes.
enum PercentEncoding {
    static func encode(_ text: String) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            if byte >= 0x20, byte <= 0x7e, byte != UInt8(ascii: "%") {
                encoded.append(byte)
            } else {
                encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return encoded
    }

    /// What is no %XX stays as it is: a message must never be lost over its encoding.
    static func decode(_ bytes: some Collection<UInt8>) -> String {
        var decoded: [UInt8] = []
        var rest = Array(bytes)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2, let high = hexDigit(rest.first!),
                let low = hexDigit(rest.dropFirst().first!)
            {
                decoded.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                decoded.append(byte)
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// Base64 as gRPC has it in "-bin" fields: written without padding, read with or without.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var encoded: [UInt8] = []
        var accumulator: UInt32 = 0
        var bits = 0
        for byte in bytes {
            accumulator = accumulator << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                encoded.append(alphabet[Int(accumulator >> bits & 63)])
            }
        }
        if bits > 0 { encoded.append(alphabet[Int(accumulator << (6 - bits) & 63)]) }
        return encoded
    }

    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        var decoded: [UInt8] = []
        var accumulator: UInt32 = 0
        var bits = 0
        for byte in text where byte != UInt8(ascii: "=") {
            guard let value = alphabet.firstIndex(of: byte) else { return nil }
            accumulator = (accumulator << 6 | UInt32(value)) & 0xffff
            bits += 6
            if bits >= 8 {
                bits -= 8
                decoded.append(UInt8(accumulator >> bits & 255))
            }
        }
        return decoded
    }
}

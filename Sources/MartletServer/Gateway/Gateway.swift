import EtcdAPI
import HTTP2
import NIOCore

/// etcd's JSON gateway: each path is a gRPC method of this very member, called over a connection that stays in the
/// process (decision 0016), so that no service has a second implementation.
final class Gateway: Sendable {
    private let limits: GatewayLimits
    private let requestTimeout: TimeAmount
    private let loops: [GatewayLoop]

    init(eventLoops: [any EventLoop], limits: GatewayLimits, requestTimeout: TimeAmount) {
        self.limits = limits
        self.requestTimeout = requestTimeout
        loops = eventLoops.map { GatewayLoop(eventLoop: $0, limits: limits) }
    }

    /// From now on there is a server to call. To be called before anyone can ask.
    func start(_ server: GRPCServer) {
        for loop in loops { loop.eventLoop.execute { loop.start(server) } }
    }

    /// Closes the connections in the process; new ones are made when they are needed.
    func breakConnections() {
        for loop in loops { loop.eventLoop.execute { loop.breakConnection() } }
    }

    /// W1.
    static let wrongMethod = GatewayError(.unimplemented, "Method Not Allowed").response

    func register(in router: inout PlainRouter) {
        for route in GatewayTable.routes {
            if case .unary(let patience) = route.kind {
                router.onPost(route.path, otherMethod: Self.wrongMethod) { [self] request, eventLoop, respond in
                    call(route, patience, request, eventLoop, respond)
                }
            } else {
                router.onPost(route.path, otherMethod: Self.wrongMethod) { [self] request, answer in
                    GatewayStream(
                        route: route, limits: limits, metadata: metadata(of: request),
                        timeout: Result { () throws(GatewayError) in try timeout(of: request) }, answer: answer,
                        loop: loop(answer.eventLoop))
                }
            }
        }
    }

    private func loop(_ eventLoop: any EventLoop) -> GatewayLoop {
        for loop in loops where loop.eventLoop === eventLoop { return loop }
        preconditionFailure("a request on an event loop that is not the server's")
    }

    private func call(
        _ route: GatewayRoute, _ patience: GatewayRoute.Patience, _ request: PlainRequest, _ eventLoop: any EventLoop,
        _ respond: @escaping @Sendable (PlainResponse) -> Void
    ) {
        let message: ByteBuffer
        var timeout: TimeAmount? =
            switch patience {
            case .requestTimeout: requestTimeout + limits.deadlineAllowance
            case .unlimited: nil
            }
        do throws(GatewayError) {
            if let asked = try self.timeout(of: request) { timeout = min(asked, timeout ?? asked) }
            message = try self.message(route, request.body)
        } catch {
            return respond(error.response)
        }
        loop(eventLoop).call(
            route.method.rawValue, message, timeout: timeout, metadata: metadata(of: request), request.cancellation
        ) { result in
            switch result {
            case .failure(let status): respond(GatewayError(status).response)
            case .success(let answer):
                do {
                    respond(
                        PlainResponse(status: 200, contentType: "application/json", body: try route.encode(answer)))
                } catch {
                    respond(GatewayError(.internalError, "the answer cannot be written as JSON: \(error)").response)
                }
            }
        }
    }

    /// The first object of a body; none at all is an empty one, and what follows it is ignored, as in etcd.
    private func message(_ route: GatewayRoute, _ body: ByteBuffer) throws(GatewayError) -> ByteBuffer {
        var splitter = JSONSplitter(bytesMax: limits.objectBytesMax, depthMax: limits.depthMax)
        splitter.append(body)
        let object: ByteBuffer
        do throws(JSONSplitter.Failure) {
            if let next = try splitter.next() {
                object = next
            } else {
                try splitter.finish()
                return ByteBuffer()
            }
        } catch {
            throw GatewayError(error)
        }
        return try route.message(object)
    }

    /// How long the client waits for an answer, if it says so, in gRPC's way.
    private func timeout(of request: PlainRequest) throws(GatewayError) -> TimeAmount? {
        guard let text = request.field("grpc-timeout") else { return nil }
        guard let nanoseconds = GRPCTimeout.parse(text) else {
            throw GatewayError(.invalidArgument, "invalid grpc-timeout: \(text)")
        }
        return .nanoseconds(nanoseconds)
    }

    /// What is passed on to the service: the token of W9, and what the client marks for it.
    private func metadata(of request: PlainRequest) -> [(String, String)] {
        var metadata: [(String, String)] = []
        var bytes = 0
        for field in request.fields {
            var name = field.name.lowercased()
            if name.hasPrefix("grpc-metadata-") {
                name = String(name.dropFirst("grpc-metadata-".count))
            } else if name != "authorization" {
                continue
            }
            // gRPC's own fields, and HTTP/2's, are not the client's to set.
            guard !name.isEmpty, !name.hasPrefix(":"), !name.hasPrefix("grpc-"), !Self.ownFields.contains(name),
                field.value.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f })
            else { continue }
            bytes += name.utf8.count + field.value.utf8.count
            guard metadata.count < limits.metadataFieldsMax, bytes <= limits.metadataBytesMax else { break }
            metadata.append((name, field.value))
        }
        return metadata
    }

    private static let ownFields: Set<String> = [
        "connection", "content-length", "content-type", "host", "keep-alive", "proxy-connection", "te",
        "transfer-encoding", "upgrade", "user-agent",
    ]
}

extension GatewayRoute {
    /// The message of one JSON object.
    func message(_ object: ByteBuffer) throws(GatewayError) -> ByteBuffer {
        do {
            return try decode(object)
        } catch {
            throw GatewayError(.invalidArgument, "the JSON is no \(method.requestName): \(error)")
        }
    }
}

extension EtcdMethod {
    fileprivate var requestName: String { "request of \(rawValue.split(separator: "/").last ?? "")" }
}

extension GatewayError {
    init(_ failure: JSONSplitter.Failure) {
        if case .tooLarge = failure {
            self.init(.resourceExhausted, "\(failure)")
        } else {
            self.init(.invalidArgument, "\(failure)")
        }
    }
}

internal import CNghttp2
internal import NIOCore

enum HTTP2Role {
    case server
    case client
}

/// The HTTP/2 codec of one connection: an nghttp2 session. Bytes go in by ``receive(_:)`` and come out by
/// ``nextOutput()`` and through the streams' queues; events go to the connection's `codec…` methods.
///
/// Everything that knows nghttp2 is in this file and in `HTTP2Headers.swift`; another codec needs these methods only.
/// No method may be called from within `receive` or `nextOutput` except those whose names begin with `submit`, `reset`,
/// `resume`, `consume` or `terminate`.
final class NGHTTP2Codec {
    private let session: OpaquePointer

    init(role: HTTP2Role, limits: HTTP2Limits, connection: HTTP2Connection) throws(HTTP2Error) {
        var option: OpaquePointer?
        guard nghttp2_option_new(&option) == 0 else { throw .codec("out of memory") }
        defer { nghttp2_option_del(option) }
        // Bytes are given back to the peer when a call has taken them, so that a call can hold its peer back.
        nghttp2_option_set_no_auto_window_update(option, 1)
        // Closed streams are kept by nghttp2 only for RFC 7540's priority tree, which RFC 9113 gave up.
        nghttp2_option_set_no_closed_streams(option, 1)
        nghttp2_option_set_max_outbound_ack(option, limits.queuedAcksMax)
        nghttp2_option_set_max_settings(option, limits.settingsEntriesMax)
        nghttp2_option_set_max_continuations(option, limits.continuationFramesMax)
        nghttp2_option_set_max_send_header_block_length(option, 1 << 20)
        // The checks of a request's fields are ours: see RequestRules. Those of a response stay nghttp2's.
        if role == .server { nghttp2_option_set_no_http_messaging(option, 1) }
        // nghttp2's own limit (1,000 at once, 33 a second) closes a healthy client's connection; the connection keeps a
        // budget by cost. (The option came with nghttp2 1.57; Debian 12's 1.52 has it by a security update.)
        nghttp2_option_set_stream_reset_rate_limit(option, UInt64(UInt32.max), UInt64(UInt32.max))

        var pointer: OpaquePointer?
        let user = Unmanaged.passUnretained(connection).toOpaque()
        let result =
            role == .server
            ? nghttp2_session_server_new2(&pointer, Self.callbacks.pointer, user, option)
            : nghttp2_session_client_new2(&pointer, Self.callbacks.pointer, user, option)
        guard result == 0, let pointer else { throw .codec("no session: \(result)") }
        session = pointer

        var settings = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue),
                value: UInt32(limits.streamWindowBytes)),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
                value: UInt32(limits.headerListBytesMax)),
        ]
        switch role {
        case .server:
            settings.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
                    value: limits.concurrentStreamsMax))
            // RFC 9218 section 2.1: we follow no priority tree.
            settings.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES.rawValue), value: 1))
        case .client:
            settings.append(
                nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0))
        }
        nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
        nghttp2_session_set_local_window_size(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, limits.connectionWindowBytes)
    }

    deinit { nghttp2_session_del(session) }

    // MARK: Bytes

    /// Takes bytes from the peer; nil, or why the connection cannot go on. (Most breaches of the protocol are answered
    /// by the codec with GOAWAY, after which it wants nothing more.)
    func receive(_ bytes: UnsafeRawBufferPointer) -> String? {
        guard let base = bytes.baseAddress else { return nil }
        let taken = nghttp2_session_mem_recv(session, base.assumingMemoryBound(to: UInt8.self), bytes.count)
        return taken < 0 ? String(cString: nghttp2_strerror(Int32(taken))) : nil
    }

    enum Output {
        case bytes(UnsafeRawBufferPointer)
        /// Nothing more to send, or a stream's bytes were written to the connection's output until it was full.
        case none
        case failed(String)
    }

    /// The next bytes for the peer, valid until the next call.
    func nextOutput() -> Output {
        var data: UnsafePointer<UInt8>?
        let length = nghttp2_session_mem_send(session, &data)
        if length > 0 { return .bytes(UnsafeRawBufferPointer(start: data, count: length)) }
        return length == 0 ? .none : .failed(String(cString: nghttp2_strerror(Int32(length))))
    }

    var wantsRead: Bool { nghttp2_session_want_read(session) != 0 }
    var wantsWrite: Bool { nghttp2_session_want_write(session) != 0 }
    var queuedFrames: Int { nghttp2_session_get_outbound_queue_size(session) }

    // MARK: Streams

    /// Header fields, then the bytes of the stream's queue as they come, then what ``HTTP2Stream`` says is the end.
    func submitResponse(_ block: HTTP2HeaderBlock, body stream: HTTP2Stream) {
        var provider = Self.provider(for: stream)
        nghttp2_submit_response(session, stream.id, block.fields.baseAddress, block.fields.count, &provider)
    }

    /// Header fields that are the whole answer.
    func submitResponseWithoutBody(_ block: HTTP2HeaderBlock, stream: Int32) {
        nghttp2_submit_response(session, stream, block.fields.baseAddress, block.fields.count, nil)
    }

    /// Opens a stream; its id, or nil when this connection has no more ids.
    func submitRequest(_ fields: UnsafeMutableBufferPointer<nghttp2_nv>, body stream: HTTP2Stream) -> Int32? {
        var provider = Self.provider(for: stream)
        let id = nghttp2_submit_request(
            session, nil, fields.baseAddress, fields.count, &provider, Unmanaged.passUnretained(stream).toOpaque())
        return id > 0 ? id : nil
    }

    /// The stream's queue, which had been found empty, has bytes or its end.
    func resume(_ stream: Int32) { nghttp2_session_resume_data(session, stream) }

    func reset(_ stream: Int32, _ code: HTTP2ErrorCode) {
        nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, code.rawValue)
    }

    /// Gives the peer room for so many bytes more on the stream and on the connection.
    func consume(_ count: Int, stream: Int32) { nghttp2_session_consume(session, stream, count) }

    /// The same for bytes of a stream that has ended.
    func consumeConnection(_ count: Int) { nghttp2_session_consume_connection(session, count) }

    /// Whether our side of the stream has been ended; nil when there is no such stream any more.
    func hasEnded(_ stream: Int32) -> Bool? {
        let closed = nghttp2_session_get_stream_local_close(session, stream)
        return closed < 0 ? nil : closed == 1
    }

    // MARK: Connection

    func submitPing(_ payload: UInt64) {
        withUnsafeBytes(of: payload.bigEndian) { bytes in
            _ = nghttp2_submit_ping(
                session, UInt8(NGHTTP2_FLAG_NONE.rawValue), bytes.baseAddress!.assumingMemoryBound(to: UInt8.self))
        }
    }

    /// GOAWAY that only warns (RFC 9113 section 6.8).
    func submitShutdownNotice() { nghttp2_submit_shutdown_notice(session) }

    /// GOAWAY: streams that have been begun may end, no others begin.
    func submitGoAway(_ code: HTTP2ErrorCode, _ text: StaticString = "") {
        nghttp2_submit_goaway(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nghttp2_session_get_last_proc_stream_id(session),
            code.rawValue, text.utf8Start, text.utf8CodeUnitCount)
    }

    private static func provider(for stream: HTTP2Stream) -> nghttp2_data_provider {
        nghttp2_data_provider(
            source: nghttp2_data_source(ptr: Unmanaged.passUnretained(stream).toOpaque()),
            read_callback: { session, id, _, length, flags, source, _ in
                let stream = Unmanaged<HTTP2Stream>.fromOpaque(source!.pointee.ptr)
                return stream._withUnsafeGuaranteedRef { stream in
                    let (count, end) = stream.offerBytes(atMost: length)
                    flags!.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
                    switch end {
                    case .notYet:
                        return count == 0 ? Int(NGHTTP2_ERR_DEFERRED.rawValue) : count
                    case .now:
                        flags!.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
                    case .trailers(let block):
                        flags!.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue | NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
                        nghttp2_submit_trailer(session, id, block.fields.baseAddress, block.fields.count)
                    }
                    return count
                }
            })
    }

    // MARK: Callbacks

    private struct Callbacks: @unchecked Sendable {  // never changes after init
        let pointer: OpaquePointer?
    }

    private static let callbacks: Callbacks = {
        var pointer: OpaquePointer?
        nghttp2_session_callbacks_new(&pointer)
        nghttp2_session_callbacks_set_on_begin_headers_callback(pointer) { session, frame, user in
            let frame = frame!
            guard frame.pointee.hd.type == UInt8(NGHTTP2_HEADERS.rawValue) else { return 0 }
            return connection(user) { connection in
                let id = frame.pointee.hd.stream_id
                if frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST {
                    let stream = connection.codecOpenedStream(id)
                    nghttp2_session_set_stream_user_data(session, id, stream)
                    connection.headersOf = stream
                } else {
                    connection.headersOf = nghttp2_session_get_stream_user_data(session, id)
                }
                connection.headersAreTrailers = frame.pointee.headers.cat == NGHTTP2_HCAT_HEADERS
                return 0
            }
        }
        nghttp2_session_callbacks_set_on_header_callback2(pointer) { _, _, name, value, _, user in
            connection(user) { connection in
                guard let stream = connection.headersOf else { return 0 }
                return Unmanaged<HTTP2Stream>.fromOpaque(stream)._withUnsafeGuaranteedRef { stream in
                    stream.receivedField(
                        HTTP2Bytes(identity: name!), HTTP2Bytes(identity: value!),
                        isTrailer: connection.headersAreTrailers)
                    return 0
                }
            }
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(pointer) { session, frame, user in
            let frame = frame!
            let kind = UInt32(frame.pointee.hd.type)
            let ends = frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
            switch kind {
            case NGHTTP2_DATA.rawValue:
                if ends {
                    withStream(session, frame.pointee.hd.stream_id) { $0.receivedEnd() }
                } else if frame.pointee.hd.length == 0 {
                    connection(user) { $0.codecReceivedUselessFrame() }
                }
            case NGHTTP2_HEADERS.rawValue:
                withStream(session, frame.pointee.hd.stream_id) { stream in
                    stream.receivedFields(isTrailer: frame.pointee.headers.cat == NGHTTP2_HCAT_HEADERS, isLast: ends)
                    if ends { stream.receivedEnd() }
                }
            case NGHTTP2_PING.rawValue:
                let isAnswer = frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0
                var payload: UInt64 = 0
                withUnsafeMutableBytes(of: &payload) { bytes in
                    withUnsafeBytes(of: frame.pointee.ping.opaque_data) { bytes.copyMemory(from: $0) }
                }
                connection(user) { $0.codecReceivedPing(UInt64(bigEndian: payload), isAnswer: isAnswer) }
            case NGHTTP2_SETTINGS.rawValue:
                if frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0 {
                    connection(user) { $0.codecReceivedSettings() }
                }
            case NGHTTP2_GOAWAY.rawValue:
                let goAway = frame.pointee.goaway
                let text = UnsafeBufferPointer(start: goAway.opaque_data, count: goAway.opaque_data_len)
                connection(user) {
                    $0.codecReceivedGoAway(
                        HTTP2ErrorCode(rawValue: goAway.error_code), String(decoding: text, as: UTF8.self))
                }
            case NGHTTP2_WINDOW_UPDATE.rawValue, NGHTTP2_RST_STREAM.rawValue:
                break
            default:
                connection(user) { $0.codecReceivedUselessFrame() }
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(pointer) { session, _, id, data, length, user in
            let bytes = UnsafeRawBufferPointer(start: data, count: length)
            if !withStream(session, id, { $0.receivedBytes(bytes) }) {
                nghttp2_session_consume_connection(session, length)
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(pointer) { session, id, code, user in
            guard let stream = nghttp2_session_get_stream_user_data(session, id) else { return 0 }
            nghttp2_session_set_stream_user_data(session, id, nil)
            return connection(user) { connection in
                connection.codecClosedStream(stream, HTTP2ErrorCode(rawValue: code))
                return 0
            }
        }
        nghttp2_session_callbacks_set_send_data_callback(pointer) { _, frame, header, length, source, user in
            connection(user) { connection in
                guard connection.output.readableBytes < connection.limits.flushBytesMax else {
                    connection.outputIsFull = true
                    return Int32(NGHTTP2_ERR_WOULDBLOCK.rawValue)
                }
                connection.output.writeBytes(UnsafeRawBufferPointer(start: header, count: 9))
                Unmanaged<HTTP2Stream>.fromOpaque(source!.pointee.ptr)._withUnsafeGuaranteedRef { stream in
                    connection.codecSends(length, of: stream)
                }
                return 0
            }
        }
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(pointer) { _, frame, _, user in
            connection(user) { $0.codecReceivedInvalidFrame() }
            return 0
        }
        nghttp2_session_callbacks_set_error_callback2(pointer) { _, _, text, length, user in
            let bytes = UnsafeRawBufferPointer(start: text, count: length)
            connection(user) { $0.lastCodecError = String(decoding: bytes, as: UTF8.self) }
            return 0
        }
        return Callbacks(pointer: pointer)
    }()

    @inline(__always)
    private static func connection<Result>(
        _ user: UnsafeMutableRawPointer?, _ body: (HTTP2Connection) -> Result
    ) -> Result {
        Unmanaged<HTTP2Connection>.fromOpaque(user!)._withUnsafeGuaranteedRef(body)
    }

    /// False when the codec has no stream of ours by that id.
    @inline(__always) @discardableResult
    private static func withStream(_ session: OpaquePointer?, _ id: Int32, _ body: (HTTP2Stream) -> Void) -> Bool {
        guard let pointer = nghttp2_session_get_stream_user_data(session, id) else { return false }
        Unmanaged<HTTP2Stream>.fromOpaque(pointer)._withUnsafeGuaranteedRef(body)
        return true
    }
}

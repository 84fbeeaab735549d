// The hand codecs are `public`, though nobody outside the package sees this target: the compiler carries the bodies of
// `@inlinable public` functions into other targets, and not those of `@inlinable package` ones. Unspecialised, encoding
// takes five to eight times as long (measured: 160 ns a pair of a range instead of 19).
public import ByteCodec

/// Where encoded messages go: an array, or memory that somebody else owns, such as a network buffer.
public protocol WireOutput {
    mutating func append(byte: UInt8)
    mutating func append(raw: UnsafeRawBufferPointer)
    /// Makes room for `count` more bytes at once. A hint.
    mutating func reserve(_ count: Int)
}

extension [UInt8]: WireOutput {
    @inlinable public mutating func append(byte: UInt8) { append(byte) }
    @inlinable public mutating func append(raw: UnsafeRawBufferPointer) { append(contentsOf: raw) }
    @inlinable public mutating func reserve(_ count: Int) {
        // Exact reservations in a loop would copy each time: grow as appending does.
        let needed = self.count + count
        if needed > capacity { reserveCapacity(Swift.max(needed, 2 * capacity)) }
    }
}

/// Writes into memory that is known to be large enough, because the message's size was asked for before:
///
///     buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: message.encodedSize) { memory in
///         WireWriter.encode(message, into: memory)
///     }
///
/// A write past the end is a bug of ours, and stops the process.
public struct WireWriter: WireOutput {
    @usableFromInline let memory: UnsafeMutableRawBufferPointer
    @usableFromInline var position = 0
    /// How many bytes have been written.
    @inlinable public var count: Int { position }

    @inlinable public init(_ memory: UnsafeMutableRawBufferPointer) {
        self.memory = memory
    }

    @inlinable public mutating func append(byte: UInt8) {
        precondition(position < memory.count, "a message is longer than it said")
        memory[position] = byte
        position += 1
    }

    @inlinable public mutating func append(raw: UnsafeRawBufferPointer) {
        guard let source = raw.baseAddress, raw.count > 0 else { return }
        precondition(memory.count - position >= raw.count, "a message is longer than it said")
        // The precondition has shown that the memory is not empty, so it has an address.
        (memory.baseAddress! + position).copyMemory(from: source, byteCount: raw.count)
        position += raw.count
    }

    @inlinable public mutating func reserve(_ count: Int) {}

    /// Encodes `message` at the start of `memory`; returns how many bytes it took.
    @inlinable
    public static func encode(_ message: some WireEncodable, into memory: UnsafeMutableRawBufferPointer) -> Int {
        var writer = WireWriter(memory)
        message.encode(into: &writer)
        return writer.position
    }
}

/// A message that can be written; its size is known before.
public protocol WireEncodable {
    /// How many bytes `encode` writes.
    var encodedSize: Int { get }
    /// Writes the fields in ascending order, those that hold their default left out, as proto3 asks.
    func encode<Output: WireOutput>(into output: inout Output)
}

extension WireEncodable {
    /// The message as bytes of its own. For tests and for where no buffer is at hand.
    @inlinable public func encoded() -> [UInt8] {
        let size = encodedSize
        return [UInt8](unsafeUninitializedCapacity: size) { memory, count in
            count = WireWriter.encode(self, into: UnsafeMutableRawBufferPointer(memory))
        }
    }
}

/// How many bytes a field takes, its tag included.
public enum WireSize {
    @inlinable public static func tag(_ field: Int) -> Int { varintLength(UInt64(field) << 3) }

    @inlinable public static func uint64(_ field: Int, _ value: UInt64) -> Int {
        value == 0 ? 0 : tag(field) + varintLength(value)
    }
    @inlinable public static func int64(_ field: Int, _ value: Int64) -> Int {
        uint64(field, UInt64(bitPattern: value))
    }
    /// A member of a oneof is written even when it is zero.
    @inlinable public static func presentInt64(_ field: Int, _ value: Int64) -> Int {
        tag(field) + varintLength(UInt64(bitPattern: value))
    }
    @inlinable public static func enumeration(_ field: Int, _ value: Int32) -> Int { int64(field, Int64(value)) }
    @inlinable public static func bool(_ field: Int, _ value: Bool) -> Int { value ? tag(field) + 1 : 0 }
    /// A length-delimited field of `count` bytes, written even when it is empty.
    @inlinable public static func delimited(_ field: Int, _ count: Int) -> Int {
        tag(field) + varintLength(UInt64(count)) + count
    }
    @inlinable public static func bytes(_ field: Int, _ value: some WireBytes) -> Int {
        let count = value.wireCount
        return count == 0 ? 0 : delimited(field, count)
    }
    @inlinable public static func string(_ field: Int, _ value: String) -> Int {
        value.isEmpty ? 0 : delimited(field, value.utf8.count)
    }
    @inlinable public static func message(_ field: Int, _ value: (some WireEncodable)?) -> Int {
        guard let value else { return 0 }
        return delimited(field, value.encodedSize)
    }
    @inlinable public static func messages(_ field: Int, _ values: [some WireEncodable]) -> Int {
        var size = 0
        for value in values { size += delimited(field, value.encodedSize) }
        return size
    }
}

extension WireOutput {
    @inlinable public mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(byte: UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(byte: UInt8(truncatingIfNeeded: rest))
    }

    @inlinable public mutating func tag(_ field: Int, _ type: WireType) {
        varint(UInt64(field) << 3 | UInt64(type.rawValue))
    }

    @inlinable public mutating func uint64(_ field: Int, _ value: UInt64) {
        guard value != 0 else { return }
        tag(field, .varint)
        varint(value)
    }

    @inlinable public mutating func int64(_ field: Int, _ value: Int64) {
        uint64(field, UInt64(bitPattern: value))
    }

    @inlinable public mutating func presentInt64(_ field: Int, _ value: Int64) {
        tag(field, .varint)
        varint(UInt64(bitPattern: value))
    }

    @inlinable public mutating func enumeration(_ field: Int, _ value: Int32) { int64(field, Int64(value)) }

    @inlinable public mutating func bool(_ field: Int, _ value: Bool) {
        guard value else { return }
        tag(field, .varint)
        append(byte: 1)
    }

    /// The tag and the length of a length-delimited field; its `count` bytes are for the caller to write.
    @inlinable public mutating func delimited(_ field: Int, _ count: Int) {
        tag(field, .lengthDelimited)
        varint(UInt64(count))
    }

    @inlinable public mutating func bytes(_ field: Int, _ value: some WireBytes) {
        guard value.wireCount > 0 else { return }
        presentBytes(field, value)
    }

    @inlinable public mutating func presentBytes(_ field: Int, _ value: some WireBytes) {
        delimited(field, value.wireCount)
        value.withWireBytes { append(raw: $0) }
    }

    @inlinable public mutating func string(_ field: Int, _ value: String) {
        guard !value.isEmpty else { return }
        var value = value
        value.withUTF8 { utf8 in
            delimited(field, utf8.count)
            append(raw: UnsafeRawBufferPointer(utf8))
        }
    }

    @inlinable public mutating func message(_ field: Int, _ value: (some WireEncodable)?) {
        guard let value else { return }
        delimited(field, value.encodedSize)
        value.encode(into: &self)
    }

    @inlinable public mutating func messages(_ field: Int, _ values: [some WireEncodable]) {
        for value in values { message(field, value) }
    }
}

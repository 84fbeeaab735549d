/// How large the parts of a frame may be. A sender keeps to them, and a receiver refuses what does not.
package struct PeerWireLimits: Hashable, Sendable {
    /// A frame's body.
    package var frameBytes = 64 << 20
    package var messagesPerFrame = 16_384
    /// Entries and forwarded proposals of all the messages in a frame. An entry takes two bytes on the wire at least
    /// and 32 in memory, so the frame's size alone would not bound what it unpacks to.
    package var entriesPerFrame = 1 << 20
    /// Voters, learners and so on of one configuration, together.
    package var configurationMembers = 4_096
    /// Frames before the connection's purpose is known.
    package var handshakeBytes = 1_024
    /// The reason that goes with a refusal or a failure.
    package var textBytes = 256
    /// The payload of one snapshot chunk.
    package var chunkBytes = 1 << 20

    package init() {}
}

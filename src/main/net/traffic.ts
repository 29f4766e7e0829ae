/** Traffic: how much went through all connections of a transport, since it listens. */
export class Traffic {
  framesSent = 0
  bytesSent = 0
  framesReceived = 0
  bytesReceived = 0
  /** Raft messages that were not sent: no connection, or a backlog. */
  messagesDropped = 0
  /** Handshakes that were done, as initiator and as acceptor. */
  connectionsMade = 0
  connectionsTaken = 0
}

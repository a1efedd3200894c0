import {NetgraftError} from '../model/errors.ts'

/**
 * absent: no socket is there. unavailable: nobody answers on it, or the answer is a refusal. protocol: an answer that makes
 * no sense, and will make none when asked again.
 */
export type CriErrorCode = 'absent' | 'unavailable' | 'protocol'

/** The container runtime, or the kubelet, did not tell what it was asked. The message is a sentence that names the socket. */
export class CriError extends NetgraftError {
  override readonly code: CriErrorCode

  constructor(code: CriErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

import test from 'ava'
import fc from 'fast-check'
import {
  decodeAnswer,
  decodeRequest,
  ENVIRONMENT_LIMIT,
  encodeAnswer,
  encodeRequest,
  INPUT_LIMIT,
  OUTPUT_LIMIT,
  RequestReader,
  type ShimRequest,
} from '../../src/cni/protocol.ts'
import {InvalidInput} from '../../src/model/errors.ts'

const hex = fc.uint8Array({minLength: 16, maxLength: 16}).map(bytes => Buffer.from(bytes).toString('hex'))
const name = fc.stringMatching(/^(CNI_|_CNI_LOGGING_)[A-Z0-9_]{0,12}$/)
const value = fc.string({unit: 'binary'}).map(text => text.replaceAll('\0', ''))
const bytes = fc.uint8Array({maxLength: 300}).map(array => Buffer.from(array))
const request: fc.Arbitrary<ShimRequest> = fc.record({
  id: hex,
  env: fc.array(fc.tuple(name, value)).map(entries => new Map(entries)),
  stdin: bytes,
})

/** A frame's bytes, cut wherever the numbers say. */
function chunksOf(frame: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map(cut => cut % (frame.length + 1)).toSorted((a, b) => a - b), frame.length]
  return places.slice(1).map((end, index) => frame.subarray(places[index]!, end))
}

test('a request, byte by byte', t => {
  const env = new Map([
    ['CNI_COMMAND', 'ADD'],
    ['CNI_ARGS', ''],
  ])
  const frame = encodeRequest({id: '000102030405060708090a0b0c0d0e0f', env, stdin: Buffer.from('{}')})
  t.is(
    frame.toString('hex'),
    [
      '4e475131', // "NGQ1"
      '1a000000', // 26 bytes of environment
      '02000000', // 2 bytes of input
      '000102030405060708090a0b0c0d0e0f', // id
      '434e495f434f4d4d414e443d414444' + '00', // "CNI_COMMAND=ADD"
      '434e495f415247533d' + '00', // "CNI_ARGS="
      '7b7d', // "{}"
    ].join(''),
  )
})

test('an answer, byte by byte', t => {
  t.is(
    encodeAnswer({status: 1, stdout: Buffer.from('{}')}).toString('hex'),
    '4e474131' + '01000000' + '02000000' + '7b7d', // "NGA1", status, length, "{}"
  )
})

test('property: a request is read as it was written, wherever the bytes are cut', t => {
  fc.assert(
    fc.property(request, fc.array(fc.nat()), (wanted, cuts) => {
      const frame = encodeRequest(wanted)
      t.deepEqual(decodeRequest(frame), wanted)
      const reader = new RequestReader()
      const chunks = chunksOf(frame, cuts).filter(chunk => chunk.length > 0)
      const got = chunks.map(chunk => reader.push(chunk))
      t.deepEqual(got, [...chunks.slice(1).map(() => undefined), wanted])
      t.throws(() => reader.push(Buffer.from([6])), {instanceOf: InvalidInput})
    }),
  )
})

test('property: an answer is read as it was written', t => {
  fc.assert(
    fc.property(fc.constantFrom(0 as const, 1 as const), bytes, (status, stdout) => {
      t.deepEqual(decodeAnswer(encodeAnswer({status, stdout})), {status, stdout})
    }),
  )
})

/** Runs it and tells whether it threw; anything but InvalidInput fails the test. */
function refuses(run: () => unknown): boolean {
  try {
    run()
    return false
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error
    return true
  }
}

/** Whole frames with some bytes changed, cut off or added, and bytes that never were frames. */
const damaged = fc.oneof(
  bytes,
  fc
    .tuple(request, fc.array(fc.tuple(fc.nat(), fc.nat(255)), {maxLength: 3}), fc.nat(), bytes)
    .map(([wanted, changes, cut, more]) => {
      const frame = encodeRequest(wanted)
      for (const [at, byte] of changes) frame[at % frame.length] = byte
      return Buffer.concat([frame.subarray(0, frame.length - (cut % 5)), more.subarray(0, cut % 3)])
    }),
)

test('property: whatever comes is refused with InvalidInput, or means one thing to both readers', t => {
  fc.assert(
    fc.property(damaged, fc.array(fc.nat()), (frame, cuts) => {
      const whole = !refuses(() => decodeRequest(frame))
      refuses(() => decodeAnswer(frame))
      const reader = new RequestReader()
      let got: ShimRequest | undefined
      const refused = refuses(() => {
        for (const chunk of chunksOf(frame, cuts).filter(each => each.length > 0)) got = reader.push(chunk)
      })
      t.is(whole, !refused && got !== undefined)
      if (whole) t.deepEqual(got, decodeRequest(frame))
    }),
    {numRuns: 2000},
  )
})

const header = (environment: number, input: number): Buffer => {
  const frame = Buffer.alloc(28)
  frame.write('NGQ1')
  frame.writeUInt32LE(environment, 4)
  frame.writeUInt32LE(input, 8)
  return frame
}

test('a header that cannot be one is refused before anything follows it', t => {
  const wrong = /begins with "NGQ1", not with "X"/
  t.throws(() => new RequestReader().push(Buffer.from('X')), {instanceOf: InvalidInput, message: wrong})
  const tooMuch = {instanceOf: InvalidInput, message: /more than/}
  t.throws(() => new RequestReader().push(header(ENVIRONMENT_LIMIT + 1, 0)), tooMuch)
  t.throws(() => new RequestReader().push(header(0, INPUT_LIMIT + 1)), tooMuch)
  t.is(new RequestReader().push(header(ENVIRONMENT_LIMIT, INPUT_LIMIT)), undefined)
})

test('the largest request and the largest answer', t => {
  const largest = {
    id: '0'.repeat(32),
    env: new Map([['CNI_ARGS', 'x'.repeat(ENVIRONMENT_LIMIT - 'CNI_ARGS=\0'.length)]]),
    stdin: Buffer.alloc(INPUT_LIMIT, 'é'),
  }
  t.deepEqual(new RequestReader().push(encodeRequest(largest)), largest)
  t.throws(() => encodeRequest({...largest, stdin: Buffer.alloc(INPUT_LIMIT + 1)}), {instanceOf: InvalidInput})
  t.is(decodeAnswer(encodeAnswer({status: 0, stdout: Buffer.alloc(OUTPUT_LIMIT)})).stdout.length, OUTPUT_LIMIT)
  t.throws(() => encodeAnswer({status: 0, stdout: Buffer.alloc(OUTPUT_LIMIT + 1)}), {instanceOf: InvalidInput})
})

const framed = (environment: Buffer): Buffer => Buffer.concat([header(environment.length, 0), environment])

test('an environment is taken as it is, or not at all', t => {
  const refused: readonly [environment: string, message: RegExp][] = [
    ['CNI_ARGS=a', /cut off/],
    ['CNI_ARGS\0', /"CNI_ARGS" is not one/],
    ['PATH=/bin\0', /"PATH" is not one/],
    ['\0', /"" is not one/],
    ['CNI_A\n=x\0', /"CNI_A\\n" is not one/],
    ['CNI_ARGS=\xff\0', /CNI_ARGS is not UTF-8/],
  ]
  for (const [environment, message] of refused)
    t.throws(() => decodeRequest(framed(Buffer.from(environment, 'latin1'))), {instanceOf: InvalidInput, message})
  const {env} = decodeRequest(framed(Buffer.from('CNI_ARGS=\ufeffa=b\0CNI_ARGS=second\0')))
  t.deepEqual([...env], [['CNI_ARGS', '\ufeffa=b']])
})

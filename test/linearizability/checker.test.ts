/**
 * Goal: the checker accepts exactly the linearizable histories, proves what it accepts, shows what
 * it refuses, and gives up at its limits rather than guess. Method: small histories from the
 * literature and our own; histories of a simulation that is linearizable by construction; their
 * mutations, compared with the definition by brute force.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isAllowed, isInRealTime, isLinearizable } from './brute-force.ts'
import { assertLinearizable, checkLinearizability } from './checker.ts'
import { History, type Operation } from './history.ts'
import { type KeyValueInput, type KeyValueOutput, keyValue } from './key-value.ts'
import type { Answer, Model } from './model.ts'
import { type RegisterInput, type RegisterOutput, register } from './register.ts'
import { simulate, turnsOf } from './simulation.ts'

const RUNS = Number(process.env.WAYMARK_LINEARIZABILITY_RUNS ?? 1000)
const BRUTE_FORCE_OPERATIONS_MAX = 6

const READ: RegisterInput = { do: 'read' }
const write = (to: number): RegisterInput => ({ do: 'write', to })
const cas = (from: number, to: number): RegisterInput => ({ do: 'cas', from, to })

/** A history drawn as lines, one an operation: [input, called at, returned at, output]. */
type Line = [RegisterInput, number, number, RegisterOutput] | [RegisterInput, number]

function drawn(...lines: Line[]): Operation<RegisterInput, RegisterOutput>[] {
  return lines.map(([input, calledAt, returnedAt = Infinity, output], process) => ({
    process,
    input,
    output,
    calledAt,
    returnedAt,
  }))
}

describe('small histories', () => {
  const cases: [string, boolean, Line[]][] = [
    ['of nothing', true, []],
    ['a read of the initial value', true, [[READ, 0, 1, null]]],
    ['a read of what nobody wrote', false, [[READ, 0, 1, 7]]],
    [
      'a read after a write sees it',
      true,
      [
        [write(1), 0, 1, null],
        [READ, 2, 3, 1],
      ],
    ],
    [
      'a stale read after a write',
      false,
      [
        [write(1), 0, 1, null],
        [READ, 2, 3, null],
      ],
    ],
    [
      'reads during a write see it or not',
      true,
      [
        [write(1), 0, 9, null],
        [READ, 1, 2, null],
        [READ, 3, 4, 1],
      ],
    ],
    [
      'reads during a write see it, then not',
      false,
      [
        [write(1), 0, 9, null],
        [READ, 1, 2, 1],
        [READ, 3, 4, null],
      ],
    ],
    [
      'two readers see two concurrent writes in two orders',
      false,
      [
        [write(1), 0, 9, null],
        [write(2), 1, 10, null],
        [READ, 2, 3, 1],
        [READ, 4, 5, 2],
        [READ, 6, 7, 1],
      ],
    ],
    [
      'a write never answered is seen late',
      true,
      [
        [write(1), 0],
        [READ, 1, 2, null],
        [write(2), 3, 4, null],
        [READ, 5, 6, 1],
      ],
    ],
    [
      'a write never answered is seen twice, with another between',
      false,
      [
        [write(1), 0],
        [READ, 1, 2, 1],
        [write(2), 3, 4, null],
        [READ, 5, 6, 1],
      ],
    ],
    [
      'a write never answered is seen before its call',
      false,
      [
        [READ, 0, 1, 1],
        [write(1), 2],
      ],
    ],
    [
      'one of two equal cas succeeds',
      true,
      [
        [write(1), 0, 1, null],
        [cas(1, 2), 2, 4, true],
        [cas(1, 2), 3, 5, false],
      ],
    ],
    [
      'both of two equal cas succeed',
      false,
      [
        [write(1), 0, 1, null],
        [cas(1, 2), 2, 4, true],
        [cas(1, 2), 3, 5, true],
      ],
    ],
    [
      'a cas fails though the value was there all the time',
      false,
      [
        [write(1), 0, 1, null],
        [cas(1, 2), 2, 3, false],
      ],
    ],
    [
      'a write changes nothing where it is called, and something where it is needed',
      true,
      [
        [write(1), 0, 1, null],
        [write(1), 2, 7, null],
        [cas(1, 0), 3, 4, true],
        [READ, 8, 9, 1],
      ],
    ],
    [
      'a chain of cas that only fits backwards',
      true,
      [
        [cas(2, 3), 0, 9, true],
        [cas(1, 2), 1, 8, true],
        [write(1), 2, 7, null],
        [READ, 10, 11, 3],
      ],
    ],
  ]
  for (const [name, isFine, lines] of cases) {
    test(`${isFine ? 'accepted' : 'refused'}: ${name}`, () => {
      const operations = drawn(...lines)
      const expected = isFine ? 'linearizable' : 'not linearizable'
      assert.equal(checkLinearizability(register, operations).verdict, expected)
      assert.equal(isLinearizable(register, operations), isFine, 'by brute force')
    })
  }
})

describe('verdicts', () => {
  test('a refusal names the key, the operation, the states and what was concurrent', () => {
    const history = new History<KeyValueInput, KeyValueOutput>()
    const append = history.call(1, { do: 'append', key: 'a', value: 'x' })
    const other = history.call(4, { do: 'get', key: 'b' })
    const refused = history.call(5, { do: 'put', key: 'a', value: 'never' })
    const lost = history.call(2, { do: 'append', key: 'a', value: 'y' })
    history.return(append, null)
    const get = history.call(3, { do: 'get', key: 'a' })
    history.return(other, '')
    history.return(get, 'y')
    history.refuse(refused)
    const result = checkLinearizability(keyValue, history.operations)
    assert.equal(result.verdict, 'not linearizable')
    assert.equal(result.key, 'a')
    assert.equal(result.stuckAt, get)
    assert.deepEqual([...result.states].sort(), ['x', 'xy', 'yx'])
    assert.throws(
      () => assertLinearizable(keyValue, history.operations),
      ({ message }: Error) => {
        const shown = [get, lost].map(({ process }) => message.includes(`process ${process}:`))
        const hidden = [append, other].map(({ process }) => message.includes(`process ${process}:`))
        assert.deepEqual([...shown, ...hidden], [true, true, false, false], message)
        return message.includes('"y"') && message.includes('never answered')
      },
    )
  })

  /** Any subset of the appends may have happened, in any order, and the get fits none. */
  const hard: Operation<KeyValueInput, KeyValueOutput>[] = Array.from({ length: 40 }, (_, i) => ({
    process: i,
    input: { do: 'append', key: 'a', value: `${i},` },
    output: undefined,
    calledAt: i,
    returnedAt: Infinity,
  }))
  hard.push({
    process: 40,
    input: { do: 'get', key: 'a' },
    output: 'nobody',
    calledAt: 40,
    returnedAt: 41,
  })

  test('a history that is too hard is unknown, at whichever limit comes first', () => {
    for (const limit of ['configurationsMax', 'stepsMax'] as const) {
      const result = checkLinearizability(keyValue, hard, { [limit]: 5000 })
      assert.deepEqual(result, { verdict: 'unknown', limit, key: 'a' })
    }
    assert.throws(() => assertLinearizable(keyValue, hard, { stepsMax: 5000 }), /not decided/)
  })

  test('the model is applied no more often than the limit, by a few', () => {
    let steps = 0
    const counting: typeof keyValue = {
      ...keyValue,
      apply(state, input) {
        steps++
        return keyValue.apply(state, input)
      },
    }
    checkLinearizability(counting, hard, { stepsMax: 6400 })
    // Twice: with a share of the limit first, then with all of it; 80 is one configuration.
    assert.ok(steps >= 6400 && steps <= 6400 + 100 + 2 * 80, String(steps))
  })

  test('lost writes that nobody saw cost little, however many they are', () => {
    const lost = Array.from({ length: 40 }, (_, i): Line => [write(i), i])
    const seen = drawn(...lost, [READ, 100, 101, 20], [READ, 102, 103, 30])
    const limits = { stepsMax: 64 * 10_000 }
    assert.equal(checkLinearizability(register, seen, limits).verdict, 'linearizable')
    const unseen = drawn(...lost, [READ, 100, 101, 1000])
    assert.equal(checkLinearizability(register, unseen, limits).verdict, 'not linearizable')
  })

  test('a key that is too hard does not hide that another is refused', () => {
    const history = new History<KeyValueInput, KeyValueOutput>()
    for (let i = 0; i < 40; i++) history.call(i, { do: 'append', key: 'hard', value: `${i},` })
    history.return(history.call(40, { do: 'get', key: 'hard' }), 'nobody')
    history.return(history.call(41, { do: 'get', key: 'easy' }), 'nobody')
    const result = checkLinearizability(keyValue, history.operations, { stepsMax: 5000 })
    assert.deepEqual([result.verdict, 'key' in result && result.key], ['not linearizable', 'easy'])
  })
})

/** The order holds each answered operation once, others at most once, in real time, as allowed. */
function assertProof<State, Input, Output extends Answer>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  order: readonly Operation<Input, Output>[],
): void {
  const placed = new Set(order)
  assert.equal(placed.size, order.length)
  for (const operation of order) assert.ok(operations.includes(operation))
  for (const operation of operations) {
    assert.ok(placed.has(operation) || operation.output === undefined)
  }
  assert.ok(isInRealTime(order) && isAllowed(model, order))
}

function assertAcceptedWithProof<State, Input, Output extends Answer>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
): void {
  const result = checkLinearizability(model, operations)
  assert.equal(result.verdict, 'linearizable')
  const keys = new Set(operations.map(({ input }) => model.keyOf?.(input)))
  assert.deepEqual(new Set(result.orders.keys()), keys)
  for (const [key, order] of result.orders) {
    const part = operations.filter(({ input }) => model.keyOf?.(input) === key)
    assertProof(model, part, order)
  }
}

const smallNumber = fc.nat(2)
const registerInput: fc.Arbitrary<RegisterInput> = fc.oneof(
  fc.constant(READ),
  smallNumber.map(write),
  fc.tuple(smallNumber, smallNumber).map(([from, to]) => cas(from, to)),
)
const keyOrWord = fc.constantFrom('a', 'b')
const keyValueInput: fc.Arbitrary<KeyValueInput> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('get' as const), key: keyOrWord }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('put' as const, 'append' as const, 'append' as const),
      key: keyOrWord,
      value: keyOrWord,
    }),
  },
)

/** The store as a whole, for brute force without keys: values by key, as JSON. */
const wholeStore: Model<string, KeyValueInput, KeyValueOutput> = {
  initial: '{}',
  fingerprint: state => state,
  isReadOnly: input => input.do === 'get',
  apply(state, input) {
    const values: Record<string, string> = JSON.parse(state)
    const applied = keyValue.apply(values[input.key] ?? '', input)
    if (input.do === 'get') return { state, output: applied.output }
    values[input.key] = applied.state
    return { state: JSON.stringify(values, ['a', 'b']), output: applied.output }
  },
}

/**
 * Changes and loses answers of a simulated history and says whether the checker agrees with brute
 * force, with and without keys; counts verdicts so that both are known to be met.
 */
function compareWithBruteForce<State, Whole, Input, Output extends Answer>(
  model: Model<State, Input, Output>,
  whole: Model<Whole, Input, Output>,
  input: fc.Arbitrary<Input>,
  answerTo: (input: Input) => fc.Arbitrary<Output>,
): void {
  const counts = { accepted: 0, refused: 0 }
  const mutated = turnsOf(input, 4, 24)
    .map(turns => simulate(model, turns).slice(0, BRUTE_FORCE_OPERATIONS_MAX))
    .chain(operations =>
      fc.tuple(
        ...operations.map(operation =>
          fc.oneof(
            { weight: 4, arbitrary: fc.constant(operation) },
            {
              weight: 1,
              arbitrary: fc.constant({ ...operation, output: undefined, returnedAt: Infinity }),
            },
            {
              weight: operation.output === undefined ? 0 : 2,
              arbitrary: answerTo(operation.input).map(output => ({ ...operation, output })),
            },
          ),
        ),
      ),
    )
  fc.assert(
    fc.property(mutated, operations => {
      const isFine = isLinearizable(whole, operations)
      counts[isFine ? 'accepted' : 'refused']++
      if (isFine) assertAcceptedWithProof(model, operations)
      else assert.equal(checkLinearizability(model, operations).verdict, 'not linearizable')
    }),
    { numRuns: RUNS },
  )
  assert.ok(Math.min(counts.accepted, counts.refused) > RUNS / 20, JSON.stringify(counts))
}

describe('properties', () => {
  test('what a linearizable register did is accepted, with a proof', () => {
    fc.assert(
      fc.property(turnsOf(registerInput, 8, 400), turns =>
        assertAcceptedWithProof(register, simulate(register, turns)),
      ),
      { numRuns: RUNS / 10 },
    )
  })

  test('what a linearizable store did is accepted, with a proof', () => {
    fc.assert(
      fc.property(turnsOf(keyValueInput, 8, 400), turns =>
        assertAcceptedWithProof(keyValue, simulate(wholeStore, turns)),
      ),
      { numRuns: RUNS / 10 },
    )
  })

  test('histories of a register with other answers get the verdict of brute force', () => {
    compareWithBruteForce(register, register, registerInput, ({ do: name }) =>
      name === 'read' ? fc.option(smallNumber) : name === 'cas' ? fc.boolean() : fc.constant(null),
    )
  })

  test('histories of a store with other answers get the verdict of brute force, by key', () => {
    compareWithBruteForce(keyValue, wholeStore, keyValueInput, ({ do: name }) =>
      name === 'get' ? fc.constantFrom('', 'a', 'b', 'ab', 'ba', 'aa') : fc.constant(null),
    )
  })

  test('an answer that nobody wrote is refused in a long history', () => {
    fc.assert(
      fc.property(turnsOf(registerInput, 4, 200), fc.nat(), (turns, which) => {
        const operations = simulate(register, turns)
        const reads = operations.filter(
          ({ input, output }) => input.do === 'read' && output !== undefined,
        )
        fc.pre(reads.length > 0)
        reads[which % reads.length].output = 99
        const { verdict } = checkLinearizability(register, operations)
        assert.equal(verdict, 'not linearizable')
      }),
      { numRuns: RUNS / 10 },
    )
  })
})

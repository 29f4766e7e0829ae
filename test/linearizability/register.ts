import type { Model } from './model.ts'

/** One value, null until the first write. cas writes `to` if the value is `from`. */
export type RegisterInput =
  | { readonly do: 'read' }
  | { readonly do: 'write'; readonly to: number }
  | { readonly do: 'cas'; readonly from: number; readonly to: number }

type Value = number | null
/** read: the value; write: null; cas: whether it wrote. */
export type RegisterOutput = Value | boolean

export const register: Model<Value, RegisterInput, RegisterOutput> = {
  initial: null,
  fingerprint: String,
  isReadOnly: ({ do: name }, output) => name === 'read' || output === false,
  apply(state, input) {
    switch (input.do) {
      case 'read':
        return { state, output: state }
      case 'write':
        return { state: input.to, output: null }
      case 'cas':
        return state === input.from ? { state: input.to, output: true } : { state, output: false }
    }
  },
}

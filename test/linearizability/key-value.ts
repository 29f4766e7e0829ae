import type { Model } from './model.ts'

/** Strings by key, '' where nothing was put. */
export type KeyValueInput =
  | { readonly do: 'get'; readonly key: string }
  | { readonly do: 'put' | 'append'; readonly key: string; readonly value: string }

/** get: the value; put and append: null. */
export type KeyValueOutput = string | null

export const keyValue: Model<string, KeyValueInput, KeyValueOutput> = {
  initial: '',
  fingerprint: state => state,
  isReadOnly: input => input.do === 'get',
  keyOf: input => input.key,
  apply(state, input) {
    switch (input.do) {
      case 'get':
        return { state, output: state }
      case 'put':
        return { state: input.value, output: null }
      case 'append':
        return { state: state + input.value, output: null }
    }
  },
}

/** What the example's processes say to each other. */
export type Ask = { id: number } & (
  | { what: 'put'; key: string; value: string }
  | { what: 'get'; key: string }
  | { what: 'leader' }
)

export interface Answer {
  /** Of what was asked; 0: the node is open. */
  id: number
  result?: string | number
  error?: string
}

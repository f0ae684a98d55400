/** `firn:training`: how far a training is, for whoever shows it. */
import { type Channel, channel } from 'node:diagnostics_channel'
import { guarded } from '../../table/diagnostics.ts'

export type TrainingMessage =
  | {
      readonly phase: 'step'
      readonly table: string
      /** Step, loss, rows a second, share of the time in which it waited for data. */
      readonly text: string
      /** Steps of this process, and those that it has to take. */
      readonly done: number
      readonly total: number
    }
  | { readonly phase: 'end'; readonly table: string }

const trainingChannel: Channel = channel('firn:training')

/** @returns ends the subscription. */
export function subscribeToTraining(listener: (message: TrainingMessage) => void): () => void {
  const heard = guarded('firn:training', listener)
  trainingChannel.subscribe(heard)
  return () => void trainingChannel.unsubscribe(heard)
}

export function tellTraining(message: TrainingMessage): void {
  if (trainingChannel.hasSubscribers) trainingChannel.publish(message)
}

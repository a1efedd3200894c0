/** `netgraft explain` for people. Pure. */
import type {AdminExplanation} from '../../model/admin.ts'
import type {Line} from '../../model/text.ts'
import {plain} from './text.ts'

export const formatExplanation = ({says}: AdminExplanation): readonly Line[] => says.map(text => plain(text))

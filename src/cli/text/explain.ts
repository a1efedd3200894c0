/** `netgraft explain` for people. Pure. */
import type {Line} from '../../lab/text.ts'
import type {AdminExplanation} from '../../model/admin.ts'
import {plain} from './text.ts'

export const formatExplanation = ({says}: AdminExplanation): readonly Line[] => says.map(text => plain(text))

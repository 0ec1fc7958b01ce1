-- Analyses every study when it has come to rest ("StableAge" seconds without a new instance; 60 unless configured).
--
-- The body {} names no model: each one whose selection rule accepts the study runs, and a study that no model takes costs one look
-- at its tags. The answer comes at once; the run itself is queued, so the events behind this one do not wait for it.
-- What a run stores makes the study stable once more: the result's UIDs follow from input, model and version, so that the second
-- round finds them there and stores nothing.
function OnStableStudy(studyId, tags, metadata)
  -- The last argument: false sends the call through the plugins, too (true: Orthanc's own routes only).
  local answer = RestApiPost('/studies/' .. studyId .. '/ai', '{}', false)
  if not answer then
    -- Ids only: a log is no place for a patient's name.
    print('AI analysis of study ' .. studyId .. ' was refused; GET /studies/' .. studyId .. '/ai says why')
  end
end

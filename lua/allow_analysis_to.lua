-- Lets some users alone ask for analyses, delete results and stop the queue; everybody who may read Orthanc may read ours.
-- For servers without the authorization plugin: "LuaScripts": ["allow_analysis_to.lua"], with AuthenticationEnabled and RegisteredUsers.
local ALLOWED = { alice = true }

-- Orthanc leaves empty components out and decodes the others: //ai/, /%61i/ and /ai are one.
local function plain(uri)
  uri = uri:gsub('%?.*$', ''):gsub('%%(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end)
  return (uri:gsub('/+', '/'):gsub('/$', ''))
end

-- Called for each HTTP request from outside; false is answered with 403. `username` is empty without authentication.
function IncomingHttpRequestFilter(method, uri, ip, username, httpHeaders)
  local path = plain(uri) .. '/'
  local changes = method ~= 'GET'
  local ours = path:find('^/ai/') or path:find('^/%a+/[^/]+/ai/')
  return not (changes and ours) or ALLOWED[username] == true
end

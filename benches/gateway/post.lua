-- 2 KiB of JSON, as an order form sends it; with a few things that must be found and hidden.
local items = {}
for i = 1, 19 do
  items[i] = string.format('{"sku":"A-%04d","count":%d,"note":"please wrap this one in blue paper, thank you","price":%d}', i, i, i * 990)
end
wrk.method = "POST"
wrk.path = "/orders"
wrk.body = '{"name":"Kim","email":"kim@example.com","password":"correct horse","items":[' .. table.concat(items, ",") .. ']}'
wrk.body = wrk.body:sub(1, -2) .. ',"pad":"' .. string.rep("x", math.max(0, 2048 - #wrk.body - 9)) .. '"}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
wrk.headers["Cookie"] = "sid=9d8f7a6b5c4d3e2f; theme=dark"
